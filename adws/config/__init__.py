"""pipeline.yaml -> Pipeline, and every way it can be wrong."""

from adws.config.pipeline import SHIPPED, load
from adws.config.values import RESERVED

__all__ = ["RESERVED", "SHIPPED", "load"]
