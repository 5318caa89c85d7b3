"""The kind of a file by its first bytes, in words, so that a message can name it and say what to do.

Snakemake imports this at every start, so it imports nothing that is slow to import.
"""

import os
from pathlib import Path

#: kinds of files that something here reads or writes
GRIB = "GRIB"
NETCDF3 = "netCDF-3"
NETCDF4 = "netCDF-4 or HDF5"
BUFR = "BUFR"
SAFETENSORS = "safetensors"
PNG = "PNG"
CSV = "CSV"
TEXT = "text"
PARQUET = "Parquet"
#: kind of a file that no rule here knows
UNKNOWN = "of an unknown kind"

#: first bytes -> kind, and what makes the file readable; None where nothing does
_BEGINNINGS: tuple[tuple[bytes, str, str | None], ...] = (
    (b"PK\x03\x04", "a zip archive", "unpack it (unzip) and give the files in it"),
    (b"PK\x05\x06", "an empty zip archive", "get it again"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it (gunzip; tar -xzf if it is a tar archive)"),
    (b"BZh", "compressed by bzip2", "unpack it (bunzip2; tar -xjf if it is a tar archive)"),
    (b"\xfd7zXZ\0", "compressed by xz", "unpack it (unxz; tar -xJf if it is a tar archive)"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "unpack it (unzstd)"),
    (b"\x1f\x9d", "compressed by compress", "unpack it (uncompress)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the files in it"),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"),
    (b"BUFR", BUFR, None),
    (b"CDF\x01", NETCDF3, None),
    (b"CDF\x02", NETCDF3, None),  # with 64-bit offsets
    (b"CDF\x05", NETCDF3, None),  # with 64-bit data
    (b"\x0e\x03\x13\x01", "HDF4", None),
    (b"PAR1", PARQUET, None),
    (b"\x89PNG", PNG, None),
    (b"%PDF", "PDF", None),
)

#: how many bytes tell the kind of a file: the mark of a tar archive stands at byte 257, that of HDF5 may at 2048
_HEAD_BYTES = 2056
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)
#: before a GRIB message there may be a heading of the WMO's telecommunication system, some tens of bytes; before one of
#: BUFR this, or the lengths of Fortran records
_GRIB_WITHIN = 128
_BUFR_WITHIN = 64
_SAFETENSORS_HEADER = 100_000_000  # bytes, the format's own limit


def kind_of(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """The kind of a file, and how to make it readable, or None.

    Returns
    -------
    kind : str
        One of the kinds above, or words for anything else that fit after "is", as "compressed by gzip" or "empty".
    advice : str or None
        For containers and broken downloads, which cannot be read as they are.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return "a folder", "give the files in it"
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "empty", None
    if head[257:262] == b"ustar":  # before all others: what is in the archive follows at byte 512
        return "a tar archive", "unpack it (tar -xf) and give the files in it"
    for beginning, kind, advice in _BEGINNINGS:
        if head.startswith(beginning):
            return kind, advice
    if any(head[offset:].startswith(_HDF5) for offset in _HDF5_OFFSETS):
        return NETCDF4, None
    if _is_grib(head):
        return GRIB, None
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _SAFETENSORS_HEADER:
        return SAFETENSORS, None
    if head.lstrip().startswith(b"<") and _is_text(head):
        return "a web page or XML, perhaps from a failed download", "read what it says, and get the file again"
    if BUFR.encode() in head[:_BUFR_WITHIN]:
        return BUFR, None
    if _is_text(head):
        return (CSV if path.suffix.lower() == ".csv" else TEXT), None
    return UNKNOWN, None


def _is_grib(head: bytes) -> bool:
    """Whether a GRIB message starts here: the word, three bytes, and the number of the edition, which no text has."""
    start = head[:_GRIB_WITHIN].find(b"GRIB")
    return start >= 0 and head[start + 7 : start + 8] in (b"\x00", b"\x01", b"\x02", b"\x03")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character may be cut off at the end
            return False
        text = head[: error.start].decode("utf-8")
    # what Excel writes as CSV in UTF-8 begins with a mark of the order of bytes
    return all(character.isprintable() or character in "\t\r\n\f" for character in text.removeprefix("\ufeff"))
