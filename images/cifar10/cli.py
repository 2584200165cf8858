"""The command line. torch is imported only once the arguments are good."""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from cifar10.errors import TrainerError, UsageError, signals_handled_by, stop
from cifar10.report import ranks
from cifar10.settings import MODELS, Settings

DATA_VOLUME = Path("/data")


class Parser(argparse.ArgumentParser):
    """argparse, with errors in this program's form: one line of cause, one of next step, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see {self.prog} --help")


def build_parser() -> Parser:
    """The whole command line. What is not given is left out, for Settings to say."""
    parser = Parser(prog="python -m cifar10", description="Train and use a CIFAR-10 classifier.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, what: str) -> Callable[..., Any]:
        options = {"allow_abbrev": False, "argument_default": argparse.SUPPRESS}
        add = commands.add_parser(name, help=what, description=what, **options).add_argument
        add("--model", choices=MODELS, help="default: simple to train, and to use whatever the run has")
        add("--out", type=Path, metavar="DIR", help="the run's directory (default: one in ./runs)")
        add("--device", choices=("auto", "cpu", "cuda"))
        add("--precision", choices=("auto", "bfloat16", "float16", "float32"))
        return add

    train = command("train", "Train a model and evaluate it after every epoch.")
    _add_data(train)
    _add_training(train)
    _add_data(command("eval", "Evaluate a checkpoint on the test images."))
    add = command("predict", "Classify image files with a checkpoint.")
    add("images", type=Path, nargs="+", metavar="IMAGE", help="image files of any size")
    add = command("export", "Write a checkpoint as one file that needs no trainer to classify uint8 images.")
    add("file", type=Path, metavar="FILE", help="NAME.pt2 (torch.export) or NAME.onnx")
    return parser


def _add_data(add: Callable[..., Any]) -> None:
    data = DATA_VOLUME if DATA_VOLUME.is_dir() else Path("data")
    mirror = os.environ.get("CIFAR10_MIRROR")
    where = "directory (any layout of CIFAR-10, or folders of images), archive or .npz file; a directory without data"
    add("--data", type=Path, default=data, metavar="PATH", help=f"{where} gets it by download (default: %(default)s)")
    add("--mirror", default=mirror, metavar="URL", help="download from here (default: $CIFAR10_MIRROR or the origin)")
    add("--synthetic", action="store_true", help="invented images instead of --data")


def _add_training(add: Callable[..., Any]) -> None:
    count, own = _number(int, 1, 2**31 - 1), "default: the model's own"
    rate = _number(float, math.ulp(0.0), sys.float_info.max)
    add("--epochs", type=count, metavar="N", help=own)
    add("--batch-size", type=count, metavar="N", help=f"images a step over all GPUs ({own})")
    add("--learning-rate", type=rate, metavar="RATE", help=f"{own}, scaled where --batch-size is another")
    add("--seed", type=_number(int, 0, 2**31 - 1), metavar="N")
    add("--augment", action="store_true", help="for simple: random shifts of up to 4 pixels and mirror images")
    choices = ("auto", "on", "off")
    add("--compile", nargs="?", const="on", choices=choices, help="torch.compile (default: auto, in long runs)")
    add("--deterministic", action="store_true", help="bit-equal runs on a GPU too, at some cost")
    add("--resume", choices=("auto",), help="continue from the last checkpoint in --out, if there is one")
    add("--repeat", type=count, metavar="N", help="N runs with N seeds; says mean and deviation")
    add("--find-batch", action="store_true", help="measure which batch sizes fit and how fast they are, and end")
    add("--no-plots", dest="plots", action="store_false", help="no pictures and no TensorBoard file of the run")


def _number(kind: type, least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        with suppress(ValueError):
            if (kind is float or (text.isascii() and text.isdigit())) and least <= kind(text) <= most:
                return kind(text)
        what = f"a whole number from {least} to {most}" if kind is int else "a number above 0"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")

    return parse


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The arguments as Settings; what was not asked stays the recipe's choice."""
    return Settings(**{name: value for name, value in vars(arguments).items() if name in Settings.__annotations__})


def run_command(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Run the command; its result object, or None on a rank that does not report."""
    from cifar10 import inference, memory, train

    settings = settings_from(arguments)
    if ranks()[1] > 1 and (arguments.command != "train" or settings.find_batch):
        raise UsageError("only training uses several processes", "start this without torchrun")
    if arguments.command == "eval":
        return inference.evaluate_command(settings)
    if arguments.command == "predict":
        return inference.predict(settings, arguments.images)
    if arguments.command == "export":
        return inference.export(settings, arguments.file)
    if settings.find_batch:
        return memory.find_batch(settings)
    return train.repeat(settings) if settings.repeat > 1 else train.train(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, print the result as the last line of stdout; returns the exit code."""
    try:
        arguments = build_parser().parse_args(argv)
        with signals_handled_by(stop), stdout_to_stderr():
            result = run_command(arguments)
    except TrainerError as error:
        return _report(error)
    except OSError as error:
        return _report(TrainerError(str(error), "free space or fix the permissions, then continue with --resume auto"))
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's class, without importing torch for it
            raise
        cause = f"out of GPU memory: {str(error).splitlines()[0]}"
        return _report(TrainerError(cause, "free the GPU (see nvidia-smi)"))
    if result is not None:
        print(json.dumps(result), flush=True)
    return 0


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what libraries print (gloo greets on stdout) to stderr: stdout is for the result alone."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def _report(error: TrainerError) -> int:
    if not error.everywhere or ranks()[0] == 0:
        print(f"cifar10: {error}\nnext: {error.next_step}", file=sys.stderr, flush=True)
    return error.code
