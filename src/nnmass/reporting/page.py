"""One self-contained HTML page of sections: words, a table, a picture."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from nnmass.plain_text import plain
from nnmass.reporting.style import picture
from nnmass.reporting.tables import TextTable


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        heading: its title.
        texts: paragraphs.
        table: columns and rows.
        drawn: a picture.
        caption: says what the picture shows, also to those who cannot see it.
    """

    heading: str
    texts: Sequence[str] = ()
    table: TextTable | None = None
    drawn: Figure | None = None
    caption: str = ""
    svg: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.drawn is not None:
            svg = picture(self.drawn, "svg").decode()
            object.__setattr__(self, "svg", svg[svg.index("<svg") :])


def _shown(value: Any) -> Any:
    """Make text plain; Jinja escapes what is markup.  Pictures and provenance are ours, and are kept as they are."""
    return value if isinstance(value, Markup) else plain(value)


def render_page(title: str, lead: str, sections: Sequence[Section], provenance: dict[str, Any]) -> str:
    """Render a page that needs no other file and no network."""
    environment = Environment(
        loader=PackageLoader("nnmass.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    template = environment.get_template("report.html.jinja")
    return template.render(
        title=title, lead=lead, sections=sections, provenance=escape(json.dumps(provenance, indent=1))
    )
