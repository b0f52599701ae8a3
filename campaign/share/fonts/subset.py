"""Make the fonts of the pictures from Noto's, which is needed once for each new version of them.

    pip install fonttools
    npm pack --pack-destination FOLDER @expo-google-fonts/noto-serif@0.4.2 …   (each package in sources.json)
    python campaign/share/fonts/subset.py FOLDER

Raqm shapes a line with one font, so the scripts are merged into one file, and mixed lines need no code of ours.
"""

import argparse
import json
import tarfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from io import BytesIO
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from fontTools import subset
from fontTools.merge import Merger
from fontTools.ttLib import TTFont

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources.json"

# First and last, in hexadecimal. What is wide as a line (ligatures for whole phrases), encloses its neighbours or
# changes the direction of writing is not among them.
LETTERS = {
    "NotoSerif": """
        20-7E A0-AC AE-24F 259 2B0-2FF 300-340 342-345 370-3FF 400-482 483-487 48A-52F 1E00-1EFF 1F00-1FFF
        2010-2015 2018-2022 2026 2030 2032-2033 2039-203A 2044 20A0-20C0 2116 2122 2212
    """,
    "NotoNaskhArabic": "60B-615 61B 61E-65F 660-6D5 6E5-6E6 6EE-6FF 750-77F 200C-200D",
    "NotoSerifHebrew": "591-5F4",
}
FEATURES = "ccmp locl kern liga mark mkmk calt rlig rclt curs init medi fina isol".split()


def ranges(numbers: Iterable[int]) -> Iterator[str]:
    for _key, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        found = [number for _place, number in run]
        yield f"{found[0]:04X}-{found[-1]:04X}"


def numbers(text: str) -> set[int]:
    pairs = [(part.partition("-")[0], part.partition("-")[2] or part) for part in text.split()]
    return {number for first, last in pairs for number in range(int(first, 16), int(last, 16) + 1)}


def archive(folder: Path, package: str, version: str) -> Path:
    return folder / f"{package.lstrip('@').replace('/', '-')}-{version}.tgz"


def source(folder: Path, package: dict[str, str], weight: str) -> TTFont:
    packed = archive(folder, package["name"], package["version"]).read_bytes()
    if sha256(packed).hexdigest() != package["sha256"]:
        raise SystemExit(f"{package['name']} is not the one in {SOURCES.name}.")
    with tarfile.open(fileobj=BytesIO(packed)) as files:
        font = files.extractfile(f"package/{weight}/{package['family']}_{weight}.ttf")
        assert font, f"{package['name']} has no {weight}"  # noqa: S101  (a tool for developers)
        return TTFont(BytesIO(font.read()), recalcTimestamp=False)


def cut(font: TTFont, letters: set[int]) -> TTFont:
    options = subset.Options()
    options.layout_features = FEATURES
    options.hinting = False
    options.notdef_outline = True
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.drop_tables += ["STAT", "gasp"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=letters)
    subsetter.subset(font)
    return font


def merged(fonts: list[TTFont]) -> TTFont:
    with TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.ttf" for number in range(len(fonts))]
        for font, path in zip(fonts, paths, strict=True):
            font.save(path)
        whole = Merger().merge(paths)
    # Made twice, it is the same twice.
    whole.recalcTimestamp = False
    whole["head"].created = whole["head"].modified = fonts[0]["head"].created
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the archives of the packages are")
    folder = parser.parse_args().folder
    record = json.loads(SOURCES.read_text())
    covered: set[int] = set()
    for name, made in record["fonts"].items():
        font = merged(
            [
                cut(source(folder, package, made["weight"]), numbers(LETTERS[package["family"]]))
                for package in record["packages"]
            ]
        )
        font.save(HERE / name)
        made["sha256"] = sha256((HERE / name).read_bytes()).hexdigest()
        covered = set(font.getBestCmap())
    (HERE / "alphabet.txt").write_text("\n".join(ranges(covered)) + "\n")
    SOURCES.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
