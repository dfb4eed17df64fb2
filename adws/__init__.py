"""A Makefile for AI developer workflows."""

__version__ = "0.1.0"
