"""The types of a recipe's values: as YAML gives them, without conversion."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AllowInfNan, BeforeValidator, Field, StrictBool, StrictInt, StrictStr
from pydantic.types import Strict

_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d{1,2}")
"""What YAML 1.1 reads as text: 1e-3 has no point."""


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and _SCIENTIFIC.fullmatch(value) else value


Text = StrictStr
Flag = StrictBool
Whole = StrictInt
Number = Annotated[float, Strict(), AllowInfNan(False), BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, lt=1)]
