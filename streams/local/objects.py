"""The object store: MinIO, or Versity Gateway with STACK__OBJECTS=versitygw.

MinIO is published as source only. The version is not pinned with a checksum of our own,
because the Go toolchain checks the module against its checksum database.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from streams.local.parts import Say, part, program, run
from streams.local.processes import LocalError


class _Source(NamedTuple):
    package: str
    version: str
    unused: tuple[str, ...] = ()
    """Modules that are not used here.

    They are compiled without optimisation, which is quicker.
    """


SOURCES: Mapping[str, _Source] = {
    "minio": _Source(
        "github.com/minio/minio",
        "v0.0.0-20260212201848-7aac2a2c5b7c",
        unused=(  # notifications, cloud tiers, external login, client and console
            "cloud.google.com",
            "github.com/Azure",
            "github.com/AzureAD",
            "github.com/IBM",
            "github.com/apache",
            "github.com/elastic",
            "github.com/envoyproxy",
            "github.com/fraugster",
            "github.com/go-openapi",
            "github.com/goccy",
            "github.com/gogo",
            "github.com/lestrrat-go",
            "github.com/miekg",
            "github.com/minio/console",
            "github.com/minio/mc",
            "github.com/nats-io",
            "go.etcd.io",
            "go.mongodb.org",
            "google.golang.org/api",
            "google.golang.org/grpc/xds",
        ),
    ),
    "versitygw": _Source("github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
}


class Store(NamedTuple):
    """The command line and environment that start the store."""

    argv: list[str]
    environment: dict[str, str]


def chosen() -> str:
    name = os.environ.get("STACK__OBJECTS", "minio")
    if name not in SOURCES:
        raise LocalError(f"STACK__OBJECTS={name} is not one of {', '.join(SOURCES)}")
    return name


def built(name: str, say: Say) -> Path:
    """Returns the program. It is built with Go if it is missing."""
    source = SOURCES[name]

    def build(folder: Path) -> None:
        go = _go()
        say(f"objects: building {name} from source (once, one to three minutes)")
        quick = [f"-gcflags={module}/...=-N -l" for module in source.unused]
        run(
            [go, "install", "-ldflags=-s -w", *quick, f"{source.package}@{source.version}"],
            environment={"GOBIN": str(folder), "GOFLAGS": "", "CGO_ENABLED": "0"},
        )

    return part(f"{name}-{source.version}", build) / name


def _go() -> str:
    """Finds Go.

    From 1.21 on, it fetches the newer toolchain that a program requires by itself.
    """
    where = "Go 1.21 or later (https://go.dev/dl)"
    go = program("go", install=where)
    output = run([go, "version"])
    version = re.search(r"go1\.(\d+)", output)
    if version is None or int(version[1]) < 21:
        raise LocalError(f"{output.strip()} is too old to build the object store: install {where}")
    return go


def prepare(data: Path, *, port: int, access_key: str, secret_key: str, say: Say) -> Store:
    """Creates the folders. Returns how to start the store on 127.0.0.1:port."""
    name = chosen()
    binary, address = str(built(name, say)), f"127.0.0.1:{port}"
    if name == "minio":
        data.mkdir(parents=True, exist_ok=True)
        return Store(
            [binary, "server", str(data), "--address", address, "--quiet"],
            {
                "MINIO_ROOT_USER": access_key,
                "MINIO_ROOT_PASSWORD": secret_key,
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
            },
        )
    # neither name may be a prefix of the other, nor lie inside it
    files, versions = data.with_name("gateway-files"), data.with_name("versions-of-gateway")
    for folder in (files, versions):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Store(
        [binary, "--port", address, "posix", "--versioning-dir", str(versions), str(files)],
        {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key},
    )
