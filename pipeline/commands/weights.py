"""`wseg weights`: what others trained, for our networks to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.screen import quiet_imports, refusals, refuse, say

app = typer.Typer(
    help="Takes in the weights of others' networks.", no_args_is_help=True
)


@app.command("import")
def import_weights(
    file: Annotated[
        str,
        typer.Argument(
            help="PyTorch's .pth, NumPy's .npz, Keras' .h5 or .weights.h5."
        ),
    ],
    model: Annotated[
        str, typer.Option(help="The network whose encoder gets them.")
    ] = "fpn_efficientnet_lite0",
    classes: Annotated[
        int, typer.Option(min=1, max=2**16, help="Number of classes.")
    ] = 11,
    width: Annotated[float, typer.Option(help="Factor on its channels.")] = 1.0,
    out: Annotated[
        str, typer.Option(help="A .weights.h5 to write; none by default.")
    ] = "",
) -> None:
    """Reports what matches, and writes the network with those weights.

    A recipe's `initial:` takes FILE itself as well. Nothing in it is run.
    """
    quiet_imports()
    with refusals():
        from pipeline.commands.outputs import check_outputs
        from wseg_tf.filesystems import local_target
        from wseg_tf.models import build, import_imagenet
        from wseg_tf.models.weight_files import digest, known_as, read_file
        from wseg_tf.training.recipe import Recipe

        if out and not out.endswith(".weights.h5"):
            raise ValueError(
                "Invalid value for option `--out`. Expected a path that ends "
                f"in .weights.h5. Received: {out}."
            )
        check_outputs([out] if out else [], [file])
        Recipe(channel_factor=width)  # Held to the range of a recipe.
        content = read_file(file)
        try:
            network = build(model, classes, width=width)
        except ImportError as error:
            refuse(error)
        report = import_imagenet(network, file)
        say(f"SHA-256: {digest(content)}")
        say(f"Known as: {known_as(content) or 'no file that is known here'}")
        say(str(report))
        if report.mismatched:
            refuse("Nothing is written: some layers are of another shape.")
        if out:
            with local_target(out) as path:
                network.save_weights(path)
            say(f"Written: {out}, {classes} classes, head untrained")
