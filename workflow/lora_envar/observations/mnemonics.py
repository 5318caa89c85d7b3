"""Vocabulary of PrepBUFR: message types, mnemonics and codes that its reader needs, and their SI units.

See https://www.emc.ncep.noaa.gov/mmb/data_processing/prepbufr.doc/
"""

from ..fields.constants import GRAVITY

#: observed variables; the column `variable` of reports holds indices into this
VARIABLES = ("p", "q", "t", "z", "u", "v")

#: message types of PrepBUFR
ALL = tuple(
    "ADPUPA AIRCAR AIRCFT SATWND PROFLR VADWND SATEMP ADPSFC SFCSHP SFCBOG SPSSMI SYNDAT ERS1DA GOESND QKSWND MSONET "
    "GPSIPW RASSDA WDSATR ASCATW".split()
)

FREEZING = 273.15  # K

#: program code of the step that makes temperatures virtual
VIRTMP = 8
MISSING_MARK = 31

#: of a report as a whole; all others are of its levels
HEADER = ("SID", "XOB", "YOB", "DHR", "ELV", "TYP")
#: variable -> mnemonics of observation, error and quality mark, and factor and offset to SI. The error of humidity is
#: one of relative humidity, which is no error of q without temperature and pressure; heights have none
LEVEL = {
    "p": ("POB", "POE", "PQM", 100.0, 0.0),
    "q": ("QOB", None, "QQM", 1e-6, 0.0),
    "t": ("TOB", "TOE", "TQM", 1.0, FREEZING),
    "z": ("ZOB", None, "ZQM", GRAVITY, 0.0),
    "u": ("UOB", "WOE", "WQM", 1.0, 0.0),
    "v": ("VOB", "WOE", "WQM", 1.0, 0.0),
}
WANTED = {*HEADER, "CAT", "TPC", "XDR", "YDR", "HRDR"} | {name for row in LEVEL.values() for name in row[:3] if name}
