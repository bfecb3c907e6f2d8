"""The one style sheet of all reports: light, dark, print and phone."""


def _stacked(table: str) -> str:
    """Rules by which each row of a table is a block, every cell beside the text of its head."""
    return f"""
  {table} thead {{ display: none; }}
  {table} table, {table} tbody, {table} tr {{ display: block; }}
  {table} td {{ display: flex; justify-content: space-between; gap: 1rem; min-width: 0;
    max-width: none; border: 0; padding: .15rem 0; }}
  {table} td::before {{ content: attr(data-head); color: var(--soft); text-align: left; }}
  {table} td > span {{ flex: none; max-width: 65%; }}
  {table} td:first-child {{ display: block; font-weight: bold; }}
  {table} td:first-child::before {{ content: none; }}
  {table} td:first-child > span {{ max-width: none; }}
  {table} tr {{ border-bottom: 1px solid var(--line); padding: .4rem 0; }}"""


STYLE = (
    """
:root { color-scheme: light dark; --ink: #1d2125; --soft: #55606a; --line: #d3d9df; --page: #fff;
  --mark: #0b6e4f; --tint: #f1f5f4; --good: #1a7f4b; --bad: #b3361f; --unsure: #8a6d00;
  --shade: rgb(0 0 0 / .22); }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #a3aeb8; --line: #3a424a;
  --page: #15181b; --mark: #5fd0a5; --tint: #1d2426; --good: #58c98b; --bad: #f08a72;
  --unsure: #e0c04d; --shade: rgb(255 255 255 / .28); }
  .drawn svg { filter: invert(1) hue-rotate(180deg); } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --page: #fff;
  --mark: #0b6e4f; --tint: #fff; --good: #1a7f4b; --bad: #b3361f; --unsure: #8a6d00; }
  .drawn svg { filter: none; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .2rem 0; } h3 { font-size: 1.05rem; margin-bottom: .3rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
p, li { max-width: 48rem; } .soft { color: var(--soft); font-size: 90%; }
.yes { color: var(--good); } .no { color: var(--bad); } .nowrap { white-space: nowrap; }
.verdict, .note, ul.verdicts li { background: var(--tint); border-left: 4px solid var(--unsure);
  padding: .6rem 1rem; margin: .5rem 0; }
.verdict { border-color: var(--mark); }
ul.verdicts { list-style: none; padding: 0; } ul.verdicts b { text-transform: uppercase;
  font-size: .8rem; letter-spacing: .04em; }
ul.verdicts li.good { border-color: var(--good); } ul.verdicts li.bad { border-color: var(--bad); }
.scroll { overflow-x: auto; scrollbar-width: thin; margin: .5rem 0;
  background:
    linear-gradient(to right, var(--page) 30%, transparent) 0 / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--page) 30%, transparent) 100% / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) 0 / 1rem 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) 100% / 1rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; overflow-wrap: break-word; min-width: 5.6rem; max-width: 24rem; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
th:first-child, td:first-child { min-width: 9.5rem; }
td:first-child, .words td { overflow-wrap: anywhere; }
.words td { min-width: 6rem; max-width: none; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2.5rem; } .beside figure,
  .beside > div { flex: 0 1 29rem; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .9rem; max-width: 48rem; }
svg { max-width: 100%; height: auto; } svg text { font: 14px system-ui, sans-serif;
  fill: var(--ink); }
details { margin: .5rem 0; } summary { cursor: pointer; }
code { background: var(--tint); padding: .1rem .3rem; border-radius: 3px; }
@media (max-width: 40rem) { body { padding: 1rem .8rem 3rem; }"""
    + _stacked(".stacked")
    + """
  figure.wide svg { max-width: none; width: auto; min-width: 40rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; }
  thead { display: table-header-group; } tr, li, figure { break-inside: avoid; }
  h1, h2, h3, h4, summary { break-after: avoid; break-inside: avoid; }
  .scroll { overflow: visible; background: none; }
  table { font-size: 7.5pt; } th, td { padding: .15rem .3rem; min-width: 0; }
  th:first-child, td:first-child { min-width: 6rem; }
  .many table { font-size: 6pt; } .many th, .many td { padding: .15rem .2rem; }"""
    + _stacked(".stacked.many")
    + """
  .stacked.many table { font-size: 7.5pt; }
  .nowrap { white-space: normal; }
  .beside { display: block; } .beside figure, .beside > div { display: inline-block; width: 47%;
    vertical-align: top; margin: .4rem 1% .4rem 0; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; } }
"""
)
