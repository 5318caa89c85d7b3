"""Tables of the PrepBUFR files that are written: what the fields are, and how they nest.

Mnemonics, numbers, widths and nesting are those of NCEP's table, cut down to what conventional reports need.
"""

from collections.abc import Iterator
from typing import NamedTuple

#: mnemonic, descriptor, scale, reference, bits, units: code = value 10^scale - reference
_ELEMENTS = """
BYTCNT  063000 0        0 16 BYTES
BITPAD  063255 0        0  1 NONE
DRF1BIT 031000 0        0  1 NUMERIC
DRF8BIT 031001 0        0  8 NUMERIC
SID     001194 0        0 64 CCITT IA5
XOB     006240 2   -18000 16 DEG E
YOB     005002 2    -9000 15 DEG N
DHR     004215 5 -2400000 23 HOURS
ELV     010199 0    -1000 17 METER
TYP     055007 0        0 10 CODE TABLE
T29     055008 0        0 10 CODE TABLE
TSB     055009 0        0 14 CODE TABLE
ITP     002195 0        0  8 CODE TABLE
SQN     050001 0        0 19 NUMERIC
PROCN   050003 0        0  7 NUMERIC
RPT     004214 5        0 22 HOURS
TCOR    004216 0        0  3 CODE TABLE
RSRD    035200 0        0  9 FLAG TABLE
EXPRSRD 035201 0        0  8 HOURS
SIRC    002013 0        0  4 CODE TABLE
ACID    001006 0        0 64 CCITT IA5
SAID    001007 0        0 10 CODE TABLE
SAZA    007024 2    -9000 15 DEGREES
CTCN    006034 0        0  7 NUMERIC
WVCQ    021155 0        0 24 FLAG TABLE
BSCD    021156 1    -4096 13 NUMERIC
LKCS    021104 3   -30000 15 NUMERIC
RCT     004217 2        0 12 HOURS
ROLF    002199 0        0  3 CODE TABLE
MSTQ    033026 0        0  6 CODE TABLE
IALR    010082 3   -65536 17 M/S
CAT     008193 0        0  6 CODE TABLE
XDR     006241 2   -18000 16 DEG E
YDR     005241 2    -9000 15 DEG N
HRDR    004218 5 -2400000 23 HOURS
POB     007245 1        0 14 MB
PQM     007246 0        0  5 CODE TABLE
PPC     007247 0        0  5 CODE TABLE
PRC     007248 0        0 10 CODE TABLE
POE     007250 2        0 14 MB
PFC     007249 1        0 14 MB
QOB     013245 0        0 16 MG/KG
QQM     013246 0        0  5 CODE TABLE
QPC     013247 0        0  5 CODE TABLE
QRC     013248 0        0 10 CODE TABLE
QOE     013250 1        0 10 PERCENT DIVIDED BY 10
QFC     013249 0        0 16 MG/KG
TDO     012244 1    -2732 14 DEG C
TOB     012245 1    -2732 14 DEG C
TQM     012246 0        0  5 CODE TABLE
TPC     012247 0        0  5 CODE TABLE
TRC     012248 0        0 10 CODE TABLE
TVO     012243 1    -2732 14 DEG C
TOE     012250 1        0 10 DEG C
TFC     012249 1    -2732 14 DEG C
ZOB     010007 0    -1000 17 METER
ZQM     010246 0        0  5 CODE TABLE
ZPC     010247 0        0  5 CODE TABLE
ZRC     010248 0        0 10 CODE TABLE
ZFC     010249 0    -1000 17 METER
UOB     011003 1    -4096 13 M/S
VOB     011004 1    -4096 13 M/S
WQM     011240 0        0  5 CODE TABLE
WPC     011241 0        0  5 CODE TABLE
WRC     011242 0        0 10 CODE TABLE
WOE     011245 1        0 10 M/S
UFC     011243 1    -4096 13 M/S
VFC     011244 1    -4096 13 M/S
DDO     011001 0        0  9 DEGREES TRUE
FFO     011252 0        0  9 KNOTS
DFQ     011218 0        0  5 CODE TABLE
DFP     011219 0        0  5 CODE TABLE
DFR     011220 0        0 10 CODE TABLE
"""

#: mnemonic, descriptor, members: <once or not at all>, {any number}, [stack of events], operators as they are
_SEQUENCES = """
ADPUPA   348102 HEADR SIRC {PRSLEVEL}
AIRCAR   348103 HEADR ACID {PRSLEVLA}
AIRCFT   348104 HEADR <ACID_SEQ> {PRSLEVLA}
SATWND   348105 HEADR SAID PRSLEVEL SAZA
PROFLR   348106 HEADR {PRSLEVEL}
VADWND   348107 HEADR {PRSLEVEL}
ADPSFC   348109 HEADR CAT <P___INFO> <Q___INFO> <T___INFO> <Z___INFO> <W___INFO>
SFCSHP   348110 HEADR CAT <P___INFO> <Q___INFO> <T___INFO> <Z___INFO> <W___INFO>
SFCBOG   348111 HEADR CAT <P___INFO> <Z___INFO>
SYNDAT   348113 HEADR {PRSLEVEL}
RASSDA   348119 HEADR {PRSLEVEL}
ASCATW   348121 HEADR CAT SAID CTCN WVCQ BSCD LKCS <P___INFO> <W___INFO>
HEADR    348001 SID 207003 XOB YOB 207000 DHR ELV TYP T29 TSB ITP SQN PROCN RPT TCOR <RSRD_SEQ>
RSRD_SEQ 348081 RSRD EXPRSRD
ACID_SEQ 348037 ACID
PRSLEVEL 348002 CAT <P___INFO> <Q___INFO> <T___INFO> <Z___INFO> <W___INFO> <DRFTINFO> [W1_EVENT]
PRSLEVLA 348040 RCT ROLF MSTQ IALR CAT <P___INFO> <Q___INFO> <T___INFO> <Z___INFO> <W___INFO> <DRFTINFO> [W1_EVENT]
P___INFO 348141 [P__EVENT] <P__BACKG>
Q___INFO 348142 [Q__EVENT] TDO <Q__BACKG>
T___INFO 348143 [T__EVENT] TVO <T__BACKG>
Z___INFO 348144 [Z__EVENT] <Z__BACKG>
W___INFO 348145 [W__EVENT] <W__BACKG>
DRFTINFO 348155 207003 XDR YDR 207000 HRDR
P__EVENT 348171 POB PQM PPC PRC
Q__EVENT 348172 QOB QQM QPC QRC
T__EVENT 348173 TOB TQM TPC TRC
Z__EVENT 348174 ZOB ZQM ZPC ZRC
W__EVENT 348175 UOB VOB WQM WPC WRC
W1_EVENT 348185 DDO FFO DFQ DFP DFR
P__BACKG 348191 POE PFC
Q__BACKG 348192 QOE QFC
T__BACKG 348193 TOE TFC
Z__BACKG 348194 ZFC
W__BACKG 348195 WOE UFC VFC
"""


class Element(NamedTuple):
    """An element of table B: code = value 10^scale - reference, of `width` bits."""

    descriptor: str
    scale: int
    reference: int
    width: int
    units: str


def _elements() -> Iterator[tuple[str, Element]]:
    """Mnemonics and what they stand for, of `_ELEMENTS`."""
    for line in _ELEMENTS.strip().splitlines():
        name, descriptor, scale, reference, width, units = line.split(maxsplit=5)
        yield name, Element(descriptor, int(scale), int(reference), int(width), units)


ELEMENTS = dict(_elements())
#: mnemonic -> descriptor and members
SEQUENCES = {name: (number, members) for name, number, *members in map(str.split, _SEQUENCES.strip().splitlines())}
#: brackets -> sequence that says so in the tables, and bits of the number of repetitions
REPETITIONS = {"{": ("360002", "DRP8BIT", 8), "[": ("360003", "DRPSTAK", 8), "<": ("360004", "DRP1BIT", 1)}
#: bits of the number of repetitions -> descriptor of that number
FACTORS = {8: "031001", 1: "031000"}

#: message types that can be written
CATEGORIES = tuple(name for name, (_, members) in SEQUENCES.items() if members[0] == "HEADR")


def categories_of_one_level() -> list[str]:
    """Message types whose reports have one level."""
    return [name for name in CATEGORIES if not any(member.startswith("{PRSLEV") for member in SEQUENCES[name][1])]
