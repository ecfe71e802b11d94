"""The frame of a report: one self-contained HTML page, pictures inside, nothing from the network."""

from __future__ import annotations

from html import escape

__all__ = ["definitions", "page", "section", "table"]

_STYLE = """
:root { --ink:#1c2430; --soft:#5d6878; --line:#e3e7ed; --blue:#1f5fbf; --wash:#f5f7fa; }
:root { --good:#1d7a4d; --bad:#a3432b; --page:#fff; --lede:#333d4b; --rule:#c8d0da; color-scheme:light dark; }
@media screen and (prefers-color-scheme:dark) {
  :root { --ink:#e6eaf0; --soft:#a3adba; --line:#2b333d; --blue:#7fb0ff; --wash:#1a2028; }
  :root { --good:#5cc08d; --bad:#f0937a; --page:#12161b; --lede:#c9d1db; --rule:#445060; }
  /* Pictures keep their white ground. */
  img { background:#fff; border-radius:8px; padding:6px; }
}
* { box-sizing:border-box; }
body { margin:0; background:var(--page); color:var(--ink); }
body { font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; }
main { max-width:1040px; margin:0 auto; padding:44px 28px 80px; }
header { border-bottom:1px solid var(--line); padding-bottom:26px; }
.eyebrow { color:var(--soft); font-size:14px; margin:0 0 10px; }
h1 { font-size:33px; line-height:1.2; letter-spacing:-.015em; margin:0 0 12px; max-width:24em; }
h2 { font-size:20px; letter-spacing:-.01em; margin:48px 0 6px; }
.lede { font-size:17px; color:var(--lede); margin:0; max-width:46em; }
.note { color:var(--soft); font-size:14.5px; margin:4px 0 14px; max-width:52em; }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(170px,1fr)); gap:14px; margin:26px 0 0; }
.tile { background:var(--wash); border-radius:10px; padding:15px 18px; }
.tile b { display:block; font-size:25px; letter-spacing:-.02em; font-variant-numeric:tabular-nums; }
.tile span { color:var(--soft); font-size:13.5px; }
.good { color:var(--good); } .bad { color:var(--bad); }
figure { margin:10px 0; } img { max-width:100%; height:auto; display:block; }
.pair { display:flex; flex-wrap:wrap; gap:8px 24px; } .pair figure { flex:1 1 420px; min-width:0; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:15px; }
th { text-align:right; color:var(--soft); font-weight:500; font-size:13.5px; padding:7px 10px; }
th { border-bottom:1px solid var(--rule); }
td { text-align:right; border-bottom:1px solid var(--line); padding:8px 10px; }
th:first-child, td:first-child { text-align:left; padding-left:0; }
tr.own td { font-weight:650; color:var(--blue); }
.scroll { overflow-x:auto; }
dl { display:grid; grid-template-columns:minmax(150px,230px) 1fr; gap:6px 20px; margin:12px 0; font-size:15px; }
dt { color:var(--soft); } dd { margin:0; overflow-wrap:anywhere; }
pre { background:var(--wash); border-radius:8px; padding:14px 16px; overflow-x:auto; }
pre { font:13.5px/1.5 ui-monospace,Menlo,Consolas,monospace; }
footer { margin-top:56px; border-top:1px solid var(--line); padding-top:14px; color:var(--soft); font-size:13.5px; }
@media (max-width:560px) {
  main { padding:26px 16px 60px; } h1 { font-size:26px; } .pair figure { flex-basis:100%; }
  dl { grid-template-columns:1fr; gap:0; } dd { margin-bottom:8px; }
}
@media print { main { max-width:none; padding:0; } h2 { break-after:avoid; } figure, table { break-inside:avoid; } }
"""


def page(title: str, header: str, sections: list[str], footer: str) -> str:
    """The whole page; `header`, the sections and `footer` are HTML, the title is text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<header>{header}</header>\n"
        + "\n".join(sections)
        + f"\n<footer>{footer}</footer>\n</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str, note: str = "") -> str:
    """A headed section; `title` and `note` are text, the parts HTML."""
    return (
        f"<section><h2>{escape(title)}</h2>"
        + (f'<p class="note">{escape(note)}</p>' if note else "")
        + "".join(parts)
        + "</section>"
    )


def table(rows: list[list[str]], *, own: int | None = None) -> str:
    """A table of texts, a header first; row `own` (counted without it) stands out."""
    header, *body = rows
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>"]
    for index, row in enumerate(body):
        mark = ' class="own"' if index == own else ""
        lines.append(f"<tr{mark}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def definitions(pairs: list[tuple[str, str]]) -> str:
    """A list of names and texts; empty texts are left out."""
    return (
        "<dl>"
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs if text)
        + "</dl>"
    )
