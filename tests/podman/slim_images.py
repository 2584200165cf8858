"""A bundle of today's images without PyTorch and what needs it: 7 GB less to carry to Podman, all the rest real."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.bundle_file import BundledImage, Manifest, write_bundle

if TYPE_CHECKING:
    import docker

SITE = "./usr/local/lib/python3.11/dist-packages"
COMPILED = "./usr/lib/x86_64-linux-gnu"
LEFT_OUT = (
    *(f"{SITE}/{name}*" for name in ("torch", "triton", "nvidia", "scipy", "sklearn", "pandas", "sympy", "numpy")),
    *(f"{SITE}/{name}*" for name in ("matplotlib", "fontTools", "networkx", "tensorboard", "grpc", "PIL", "pillow")),
    *(f"./usr/{name}" for name in ("include", "share/doc", "share/perl", "lib/gcc", "lib/git-core")),
    *("./usr/bin/*lto-dump*", "./usr/lib/python3.11/config-*", f"{COMPILED}/perl*", f"{COMPILED}/lib*san.*", "*.a"),
)
CHUNK_BYTES = 1 << 20
SOURCE = "gpu-launcher.source"


def write_slim_bundle(client: docker.DockerClient, references: Mapping[str, str], path: Path) -> None:
    """What `launcher bundle save` writes, of the images `references` (by target), each as one layer."""
    configs, layers = {}, {}
    for target, reference in references.items():
        layers[target] = path.with_name(f"{target}.tar")
        _write_tree(client, reference, layers[target])
        configs[target] = _config(client.images.get(reference).attrs, layers[target])
    bundled = [BundledImage(t, (name,), configs[t]["config"]["Labels"][SOURCE]) for t, name in references.items()]
    write_bundle(path, Manifest("test", tuple(bundled)), _archive(references, configs, layers), compress=False)


def _write_tree(client: docker.DockerClient, reference: str, path: Path) -> None:
    options = ["--one-file-system", "--numeric-owner", *(f"--exclude={name}" for name in LEFT_OUT)]
    container = client.containers.create(
        reference,
        ["-C", "/", *options, "-cf", f"/tree/{path.name}", "."],
        entrypoint="tar",
        user="0",
        network_mode="none",
        volumes={str(path.parent): {"bind": "/tree", "mode": "rw"}},
    )
    try:
        container.start()
        assert container.wait()["StatusCode"] == 0
    finally:
        # v: the image's VOLUME lines make three.
        container.remove(v=True, force=True)


def _config(attributes: Mapping[str, Any], layer: Path) -> dict[str, Any]:
    """An image's configuration: https://github.com/moby/docker-image-spec/blob/main/spec.md"""
    digest = hashlib.sha256()
    for chunk in _chunks(layer):
        digest.update(chunk)
    return {
        "architecture": attributes["Architecture"],
        "os": attributes["Os"],
        "created": attributes["Created"],
        "config": attributes["Config"],
        "history": [{"created": attributes["Created"], "created_by": "the tests"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]},
    }


def _archive(references: Mapping[str, str], configs: Mapping[str, Any], layers: Mapping[str, Path]) -> Iterator[bytes]:
    """As `docker save` writes it."""
    manifest = [
        {"Config": f"{target}.json", "RepoTags": [reference], "Layers": [layers[target].name]}
        for target, reference in references.items()
    ]
    documents = {"manifest.json": manifest, **{f"{target}.json": config for target, config in configs.items()}}
    for name, document in documents.items():
        content = json.dumps(document).encode()
        yield _header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
    for layer in layers.values():
        yield _header(layer.name, layer.stat().st_size)
        yield from _chunks(layer)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
