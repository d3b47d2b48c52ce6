"""Beam's options, checked before anything starts.

A job that lacks an option ends minutes after its data were listed and its
first steps ran; here it is one sentence, at once. Apache Beam is imported only
where there is something to check: it takes seconds.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from wseg_tf.configuration import ConfigurationError
from wseg_tf.filesystems import is_remote, plugins

IN_MEMORY = ["--direct_running_mode=in_memory"]
# Not Beam's DaskRunner: it reports success with files never written.
RUNNERS = (
    "DirectRunner",
    "DataflowRunner",
    "FlinkRunner",
    "PortableRunner",
    "PrismRunner",
    "SparkRunner",
)
CONTAINERS = ("DOCKER", "PROCESS", "EXTERNAL", "LOOPBACK")


def on_cores(workers: int) -> list[str]:
    """Returns options of Beam's own processes, on this machine.

    Args:
        workers: How many; one is this process, which uses all cores where a
            step decodes.

    Example:

    >>> on_cores(2)
    ['--direct_running_mode=multi_processing', '--direct_num_workers=2']
    """
    if workers == 1:
        return [*IN_MEMORY]
    return [
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={workers}",
    ]


def parse_options(arguments: str | Sequence[str]) -> Any:
    """Returns Beam's options from its command line.

    Args:
        arguments: As in a shell, e.g. `"--runner=FlinkRunner
            --parallelism=4"`, or as a list.

    Returns:
        `PipelineOptions`; an option Beam does not know is left to the runner.

    Raises:
        ValueError: If Beam refuses a value.

    Example:

    >>> options = parse_options("--direct_num_workers=2")
    >>> options.get_all_options()["direct_num_workers"]
    2
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    text = arguments if isinstance(arguments, str) else shlex.join(arguments)
    said = io.StringIO()
    try:
        # Beam's parser prints its usage and leaves the program.
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(shlex.split(text))
            options.get_all_options()
    except SystemExit:
        reason = said.getvalue().strip().splitlines()[-1].partition("error: ")
        raise ValueError(
            f"Invalid Beam options {text!r}: {reason[2]}."
        ) from None
    return options


def with_plugins(arguments: Sequence[str], *paths: str) -> list[str]:
    """Returns options that let Beam's workers open some paths.

    Args:
        arguments: Beam's command line.
        paths: What the workers open.

    Example:

    >>> with_plugins(["--runner=FlinkRunner"], "s3://bucket/runs")
    ['--runner=FlinkRunner', '--beam_plugins=tensorflow_io']
    """
    return [
        *arguments,
        *[f"--beam_plugins={module}" for module in plugins(*paths)],
    ]


def check_options(arguments: Sequence[str], *opened: str) -> None:
    """Refuses options with which a job could not run.

    Args:
        arguments: Beam's command line.
        opened: Folders that the workers open: the root and the data.

    Raises:
        ConfigurationError: One sentence that names the option.
    """
    if list(arguments) == IN_MEMORY:
        return
    from apache_beam.options.pipeline_options import StandardOptions

    try:
        options = parse_options(arguments)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    name = options.view_as(StandardOptions).runner or "DirectRunner"
    _refuse_unknown_runner(name)
    if name.lower().removesuffix("runner") in ("direct", "dataflow"):
        # A job server may know options that Beam's Python does not.
        _refuse_unknown_options(arguments)
    checks: dict[str, Callable[[Any, Sequence[str]], None]] = {
        "dataflow": _check_dataflow,
        "portable": _check_portable,
        "flink": _check_environment,
        "spark": _check_environment,
    }
    check = checks.get(name.lower().removesuffix("runner"))
    if check is not None:
        check(options, opened)


def _refused(option: str, expected: str, received: Any) -> ConfigurationError:
    return ConfigurationError(
        f"Invalid Beam option `--{option}`. Expected {expected}. Received: "
        f"{option}={received!r}."
    )


def _refuse_unknown_runner(name: str) -> None:
    if name.lower().endswith("daskrunner"):
        raise _refused("runner", "one that writes every file", name)
    known = [each.lower() for each in RUNNERS]
    short = [each.removesuffix("runner") for each in known]
    # A class of another package has dots in its name.
    if "." not in name and name.lower() not in known + short:
        raise _refused("runner", f"one of {[*RUNNERS]}", name)


def _refuse_unknown_options(arguments: Sequence[str]) -> None:
    """Refuses what Beam would only warn of, such as a misspelt option."""
    from apache_beam.options.pipeline_options import (
        PipelineOptions,
        _BeamArgumentParser,
    )

    parser = _BeamArgumentParser(allow_abbrev=False)
    for each in dict.fromkeys(_subclasses(PipelineOptions)):
        if "_add_argparse_args" in each.__dict__:
            each._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(arguments))
    known = [
        name for action in parser._actions for name in action.option_strings
    ]
    for argument in unknown:
        name = argument.partition("=")[0]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigurationError(
            f"Invalid Beam option {argument!r}. Expected an option of Apache "
            f"Beam{hint}; it ignores others."
        )


def _subclasses(kind: Any) -> list[Any]:
    found: list[Any] = []
    for each in kind.__subclasses__():
        found += [each, *_subclasses(each)]
    return found


def _check_dataflow(options: Any, opened: Sequence[str]) -> None:
    """Refuses a job that Google Cloud Dataflow would not run."""
    from apache_beam.options.pipeline_options import (
        GoogleCloudOptions,
        SetupOptions,
        StandardOptions,
        WorkerOptions,
    )
    from apache_beam.options.pipeline_options_validator import (
        PipelineOptionsValidator,
    )
    from apache_beam.runners import DataflowRunner

    cloud = options.view_as(GoogleCloudOptions)
    for option, expected in (
        ("project", "the id of a project of Google Cloud"),
        ("region", "where the workers run, e.g. europe-west1"),
        ("temp_location", "a folder of gs:// for the job's own files"),
    ):
        if not getattr(cloud, option):
            raise _refused(option, expected, getattr(cloud, option))
    setup = options.view_as(SetupOptions)
    if setup.save_main_session:
        raise _refused(
            "save_main_session",
            "none: workers import what a step uses, and the main session is "
            "the engine's own",
            True,
        )
    image = options.view_as(WorkerOptions).sdk_container_image
    if not image and not setup.setup_file:
        raise _refused(
            "sdk_container_image",
            "the image of the workers, or --setup_file, since they import "
            "this project",
            image,
        )
    if setup.setup_file and not tf.io.gfile.exists(setup.setup_file):
        raise _refused("setup_file", "a file setup.py", setup.setup_file)
    if options.view_as(StandardOptions).streaming:
        raise _refused("streaming", "none: every step ends", True)
    for folder in opened:
        if not is_remote(folder):
            raise ConfigurationError(
                "Invalid path. Expected a remote folder, since Dataflow's "
                f"workers open it. Received: {folder!r}."
            )
    # What Beam itself asks: names, buckets, numbers of workers. The folders
    # first, since in place of one that is none it would ask Google for one.
    validator = PipelineOptionsValidator(options, DataflowRunner())
    problems = validator.validate_gcs_path(cloud, "temp_location")
    if cloud.staging_location:
        problems += validator.validate_gcs_path(cloud, "staging_location")
    # Validated whole, these would ask Google about the bucket, for minutes.
    validator.OPTIONS = [
        kind for kind in validator.OPTIONS if kind is not GoogleCloudOptions
    ]
    problems += validator.validate_cloud_options(cloud)
    for problem in problems or validator.validate():
        raise ConfigurationError(f"Invalid Beam options: {problem}")


def _check_portable(options: Any, opened: Sequence[str]) -> None:
    """Refuses a portable job that has nowhere to go."""
    from apache_beam.options.pipeline_options import PortableOptions

    endpoint = options.view_as(PortableOptions).job_endpoint
    if not endpoint:
        raise _refused("job_endpoint", "HOST:PORT of a job server", endpoint)
    _check_environment(options, opened)


def _check_environment(options: Any, opened: Sequence[str]) -> None:
    """Refuses workers that no engine could start."""
    from apache_beam.options.pipeline_options import PortableOptions

    portable = options.view_as(PortableOptions)
    kind = portable.environment_type
    if kind is None:
        return
    if kind.upper() not in CONTAINERS and ":" not in kind:
        raise _refused("environment_type", f"one of {[*CONTAINERS]}", kind)
    given = portable.environment_config or portable.environment_options
    if kind.upper() in ("EXTERNAL", "PROCESS") and not given:
        expected = {
            "EXTERNAL": "HOST:PORT of a worker pool",
            "PROCESS": 'JSON, e.g. {"command": "/opt/worker/boot"}',
        }[kind.upper()]
        raise _refused("environment_config", expected, given)
