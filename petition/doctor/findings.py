"""What the doctor finds: a level, a subject, what is, and what to do. Nothing in it is about a person."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    level: Level
    subject: str
    said: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.level:<4}  {self.subject}: {self.said}"
        return f"{line} -> {self.advice}" if self.advice else line


def ok(subject: str, said: str) -> Finding:
    return Finding(Level.OK, subject, said)


def warn(subject: str, said: str, advice: str) -> Finding:
    return Finding(Level.WARN, subject, said, advice)


def fail(subject: str, said: str, advice: str) -> Finding:
    return Finding(Level.FAIL, subject, said, advice)
