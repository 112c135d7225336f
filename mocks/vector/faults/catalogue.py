"""The fault types under the headings of their documentation."""

from mocks.faults.reference import Families
from mocks.vector.faults import FAULTS, body, connection, contents, errors, pace, ranking, scores, writes

FAMILIES: Families = {
    "Errors": (errors,),
    "Connections": (connection,),
    "Bodies": (body,),
    "Pace": (pace,),
    "What is found": (ranking, scores),
    "What the points say": (contents,),
    "What was written": (writes,),
}
__all__ = ["FAMILIES", "FAULTS"]
