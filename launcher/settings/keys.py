"""The one declaration of the settings: options, variables, files, schema, `init`, `config` and README follow it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How a setting is written. LIST and TABLE add up over their origins, of the others the strongest counts."""

    TEXT = "text"
    CHOICE = "choice"
    SWITCH = "true or false"
    SIZE = "size"
    CPUS = "number"
    COUNT = "count"
    LIST = "list"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: `name` in a file, `flag` on the command line, `parameter` in the program.

    `default` is what a user reads, `example` a TOML value. `train` says whether `launcher train` has it too.
    """

    name: str
    kind: Kind
    flag: str
    parameter: str
    help: str
    default: str
    example: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    short: str = ""
    train: bool = True

    @property
    def default_is_value(self) -> bool:
        """False where `default` only describes what happens."""
        return self.default in ("auto", "true", "false", *self.choices)

    @property
    def variable(self) -> str:
        """The environment variable: LAUNCHER_ and the key."""
        return "LAUNCHER_" + self.name.upper().replace("-", "_")


KEYS = (
    Key("mode", Kind.CHOICE, "--mode", "mode", "How you will reach it.", "must be given", '"jupyter"',
        choices=("jupyter", "ssh"), train=False),
    Key("name", Kind.TEXT, "", "name", "The environment's name.", "<directory>-<mode>", '"demo"', train=False),
    Key("gpus", Kind.TEXT, "--gpus", "gpus", "auto, all, none, a count, a list such as 0,1, or UUIDs.", "auto",
        '"auto"', "GPUS"),
    Key("share", Kind.SWITCH, "--share", "share", "Also use GPUs that another environment holds.", "false", "true"),
    Key("port", Kind.COUNT, "--port", "port", "Port on 127.0.0.1.", "the first free one", "8888", "N", train=False),
    Key("memory", Kind.SIZE, "--memory", "memory", "Most memory, swap included; beyond it the kernel kills.",
        "no limit", '"16g"', "SIZE"),
    Key("cpus", Kind.CPUS, "--cpus", "cpus", "Most processor time, in processors.", "no limit", "4", "NUMBER"),
    Key("shm-size", Kind.SIZE, "--shm-size", "shm_size", "Shared memory (/dev/shm) for data loaders.",
        "half of the memory", '"8g"', "SIZE"),
    Key("pids", Kind.COUNT, "--pids", "pids", "Most processes and threads.", "512 a processor, at least 4096",
        "4096", "N"),
    Key("restart", Kind.CHOICE, "--restart", "restart", "When the engine starts it again, once it was usable.",
        "unless-stopped", '"unless-stopped"', choices=("unless-stopped", "on-failure", "no"), train=False),
    Key("stack", Kind.TEXT, "--stack", "stack", "PyTorch and CUDA versions, a row of images/stacks.toml.",
        "the default row there", '"cu128"', "STACK"),
    Key("skip-check", Kind.SWITCH, "--skip-check", "skip_check", "Do not prove that the GPUs work.", "false", "true"),
    Key("mounts", Kind.LIST, "--mount", "mounts", "A further directory.", "none",
        '["data", "/datasets/imagenet:/imagenet:ro"]', "HOST[:CONTAINER][:ro]"),
    Key("sync", Kind.SWITCH, "--sync", "sync", "Work on a copy of the project, kept in a volume of the engine.",
        "false", "true", train=False),
    Key("apt", Kind.LIST, "--apt", "apt", "A Debian package to add.", "none", '["ffmpeg"]', "PACKAGE"),
    Key("pip", Kind.LIST, "--pip", "pip", "A Python package to add.", "none", '["einops>=0.8"]',
        "REQUIREMENT"),
    Key("keys", Kind.LIST, "--key", "keys", "A file of public keys that may log in by ssh.",
        "yours", '["~/.ssh/laptop.pub"]', "FILE", train=False),
    Key("env", Kind.TABLE, "--env", "variables", "An environment variable.", "none",
        'WANDB_MODE = "offline"', "KEY=VALUE", short="-e"),
)  # fmt: skip
BY_NAME = {key.name: key for key in KEYS}
