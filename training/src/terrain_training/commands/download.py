"""`terrain-train download`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from terrain_training.download.known_sets import KNOWN_SETS
from terrain_training.download.source import FORMS, Kind, Source, parse_source
from terrain_training.download.source_to_folder import DownloadRules, download

HELP = "download a published data set; an interrupted download resumes"
EXAMPLES = (
    "terrain-train download SOURCE --out data/ai4mars",
    "terrain-train download kaggle:OWNER/NAME --out data/mine",
)
INTERRUPTED = "run the same command again to resume"
_MEGABYTE = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.epilog = "known short names:\n" + "\n".join(
        f"  {name:<8}{known.title} ({known.source})" for name, known in KNOWN_SETS.items()
    )
    parser.add_argument("source", metavar="SOURCE", help=FORMS)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new or empty folder for the data"
    )
    parser.add_argument(
        "--sha256", metavar="HEX", help="of the archive, as its publisher states it"
    )
    parser.add_argument(
        "--keep-archive", action="store_true", help="keep the archive beside the folder"
    )
    parser.add_argument(
        "--allow-http", action="store_true", help="accept plain http; requires --sha256"
    )


def run(arguments: argparse.Namespace) -> int:
    """Download, unpack and say what was written and what comes next.

    Raises:
        ConfigError: the source is unknown or out of reach, or the folder is in use.
    """
    source = parse_source(arguments.source)
    rules = DownloadRules(
        sha256=arguments.sha256,
        keep_archive=arguments.keep_archive,
        allow_http=arguments.allow_http,
    )
    _print_source(source)
    done = download(source, arguments.out, rules=rules, progress=True)
    print(f"written  {done.files} files, {done.size_bytes / _MEGABYTE:.1f} MB in {done.folder}")
    if done.archive is not None:
        print(f"archive  {done.archive}")
    data = shlex.quote(str(_data_folder(done.folder)))
    print(f"next     terrain-train inspect {data} --out out/inspect")
    return 0


def _print_source(source: Source) -> None:
    known = source.known
    if known is not None:
        print(f"{known.title}\ncredit   {known.credit}\nlicence  {known.licence}")
    elif source.kind is not Kind.FILE:
        print("licence  see the publisher's page before you use or redistribute the data")
    # Whoever reads a log must know where the data are from before they come.
    print(f"source   {source.page}", flush=True)


def _data_folder(folder: Path) -> Path:
    """Return the first folder that holds more than one other folder."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = inside[0]
