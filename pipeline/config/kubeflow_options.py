"""What a Kubernetes cluster must know to run a pipeline's steps."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Optional

from wseg_tf.ranges import bounded, check_ranges

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGTP]i?)?")
_FACTORS: dict[str, float] = {
    "": 1.0,
    "m": 1e-3,
    **{prefix: 1e3 ** (n + 1) for n, prefix in enumerate("kMGTP")},
    **{f"{prefix}i": 1024.0 ** (n + 1) for n, prefix in enumerate("kMGTP")},
}


def quantity(text: str) -> float:
    """Returns the number that Kubernetes reads in a quantity.

    Args:
        text: E.g. `"16Gi"` bytes or `"500m"` cores.

    Raises:
        ValueError: If it is no quantity.

    Example:

    >>> quantity("2Gi"), quantity("500m")
    (2147483648.0, 0.5)
    """
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ValueError(
            "Invalid quantity. Expected a number with a unit of Kubernetes, "
            f"e.g. 500m or 16Gi. Received: {text!r}."
        )
    return float(found[1]) * _FACTORS[found[2] or ""]


def _invalid(argument: str, expected: str, received: Any) -> ValueError:
    return ValueError(
        f"Invalid value for argument `{argument}`. Expected {expected}. "
        f"Received: {argument}={received!r}."
    )


def _matching(
    argument: str, pattern: re.Pattern[str], text: str, what: str
) -> None:
    if not pattern.fullmatch(text):
        raise _invalid(argument, what, text)


@dataclass
class PodOptions:
    """What the pod of a step asks for.

    Args:
        cpu: Cores requested, e.g. `"500m"` or `"4"`.
        memory: Memory requested, e.g. `"16Gi"`.
        gpus: Accelerators.
        accelerator: Their kind: the name of a resource of Kubernetes or, on
            Vertex, a type such as `"NVIDIA_TESLA_T4"`.
        node_selector: Labels of the nodes the step may run on.
        retries: How often a step that failed, or whose node was lost, is
            tried again.
        timeout: Seconds after which the step is stopped; none by default.
    """

    cpu: Optional[str] = None  # noqa: UP045
    memory: Optional[str] = None  # noqa: UP045
    gpus: Optional[int] = bounded(None, 0)  # noqa: UP045
    accelerator: Optional[str] = None  # noqa: UP045
    node_selector: Optional[dict[str, str]] = None  # noqa: UP045
    retries: Optional[int] = bounded(None, 0)  # noqa: UP045
    timeout: Optional[int] = bounded(None, 1)  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses quantities that Kubernetes cannot read."""
        for amount in (self.cpu, self.memory):
            if amount is not None:
                quantity(amount)
        check_ranges(self)


@dataclass
class StepOptions(PodOptions):
    """What one step asks for, where it differs from the others.

    Args:
        name: Id of the component, e.g. `"Trainer"`.
    """

    name: str = ""


@dataclass
class Secret:
    """A secret of the cluster, by its name: values never leave the cluster.

    Args:
        name: Name of the Kubernetes secret, in the run's own namespace.
        environment: Variables of the steps, each with the secret's key whose
            value it gets, e.g. `{AWS_ACCESS_KEY_ID: access-key}`.
        mount: Folder of the steps in which each key is a file.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    mount: Optional[str] = None  # noqa: UP045

    def __post_init__(self) -> None:
        """Refuses what is no reference; a value is likely to be none."""
        _matching("name", _OBJECT, self.name, "the name of a secret")
        for variable, key in self.environment.items():
            _matching("environment", _VARIABLE, variable, "names of variables")
            _matching("environment", _SECRET_KEY, key, "keys of the secret")
        if self.mount is None and not self.environment:
            raise _invalid("mount", "a folder, or `environment`", self.mount)
        if self.mount is not None and not self.mount.startswith("/"):
            raise _invalid("mount", "an absolute path", self.mount)


@dataclass
class Volume:
    """A persistent volume that every step mounts.

    Args:
        claim: Name of the persistent volume claim.
        path: Folder of the steps at which it is mounted.
    """

    claim: str
    path: str

    def __post_init__(self) -> None:
        """Refuses what is no claim or no absolute path."""
        _matching("claim", _OBJECT, self.claim, "the name of a claim")
        if not self.path.startswith("/"):
            raise _invalid("path", "an absolute path", self.path)


@dataclass
class KubeflowOptions:
    """How Kubeflow runs the pipeline.

    Args:
        image: The container image, made from the project's Dockerfile.
        host: Address of Kubeflow Pipelines, for `wseg submit`; by default
            the one that the variable KF_PIPELINES_ENDPOINT names.
        namespace: Namespace of the runs, on a cluster of several users.
        service_account: Service account of the steps.
        default: What every step asks for.
        steps: What single steps ask for; they replace the default's fields.
        secrets: Secrets of every step.
        volumes: Volumes of every step.
    """

    image: Optional[str] = None  # noqa: UP045
    host: Optional[str] = None  # noqa: UP045
    namespace: Optional[str] = None  # noqa: UP045
    service_account: Optional[str] = None  # noqa: UP045
    default: PodOptions = field(default_factory=PodOptions)
    steps: list[StepOptions] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuses two answers for one step."""
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise _invalid("steps", "each step once", names)

    def of(self, step: str) -> PodOptions:
        """Returns what a step asks for.

        Args:
            step: Id of the component.

        Example:

        >>> options = KubeflowOptions(
        ...     default=PodOptions(memory="4Gi", retries=2),
        ...     steps=[StepOptions(name="Trainer", memory="16Gi", gpus=1)],
        ... )
        >>> trainer = options.of("Trainer")
        >>> trainer.memory, trainer.gpus, trainer.retries
        ('16Gi', 1, 2)
        """
        own = next((s for s in self.steps if s.name == step), PodOptions())
        given = {
            each.name: getattr(own, each.name)
            for each in dataclasses.fields(PodOptions)
            if getattr(own, each.name) is not None
        }
        return dataclasses.replace(self.default, **given)
