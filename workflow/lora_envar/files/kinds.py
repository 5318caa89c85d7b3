"""What a file is by its first bytes, in words, so that a refusal can name it and say what to do."""

from pathlib import Path

#: first bytes -> what a file is called, and what makes it readable
_BEGINNINGS = (
    (b"\x1f\x8b", "gzip", "gunzip it first"),
    (b"\x1f\x9d", "compress (.Z)", "uncompress it first"),
    (b"BZh", "bzip2", "bunzip2 it first"),
    (b"\xfd7zXZ\0", "xz", "unxz it first"),
    (b"\x28\xb5\x2f\xfd", "zstandard", "unzstd it first"),
    (b"PK\x03\x04", "zip", "unzip it first"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "unpack it first"),
    (b"GRIB", "GRIB", None),
    (b"\x89HDF\r\n\x1a\n", "netCDF-4 or HDF5", None),
    (b"CDF\x01", "netCDF-3", None),
    (b"CDF\x02", "netCDF-3", None),
    (b"CDF\x05", "netCDF-3", None),
    (b"PAR1", "Parquet", None),
    (b"\x89PNG", "PNG", None),
    (b"%PDF", "PDF", None),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with git lfs pull"),
)
#: kind of a file that no rule here knows
UNKNOWN = "of no kind that is known here"

_BUFR_WITHIN = 64  # bytes: lengths of Fortran records or a bulletin's heading may stand in front
_SAFETENSORS_HEADER = 100_000_000  # bytes, the format's own limit


def kind_of(path) -> tuple[str, str | None]:
    """What a file is, and what to do to make it readable, None where there is nothing.

    Returns
    -------
    kind : str
        A name as "gzip", "GRIB" or "text"; "empty", or `UNKNOWN`.
    advice : str or None

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(1024)
    if not head:
        return "empty", None
    for beginning, kind, advice in _BEGINNINGS:
        if head.startswith(beginning):
            return kind, advice
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it with tar -xf first"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _SAFETENSORS_HEADER:
        return "safetensors", None
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a page of HTML", "what was downloaded is a message of the server; get the file again"
    if b"BUFR" in head[:_BUFR_WITHIN]:
        return "BUFR", None
    if _is_text(head):
        return ("CSV" if Path(path).suffix.lower() == ".csv" else "text"), None
    return UNKNOWN, None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character may be cut off at the end
            return False
        text = head[: error.start].decode("utf-8")
    # what Excel writes as CSV in UTF-8 begins with a mark of the order of bytes
    return all(character.isprintable() or character in "\t\r\n\f" for character in text.removeprefix("\ufeff"))
