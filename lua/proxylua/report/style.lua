-- The style of a report's page: one column on a phone, charts beside their tables on wide screens,
-- and always black on white on paper.

return [[
:root { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d0d7de; --card: #f6f8fa; --charge: #1f6feb; --refund: #bc4c00; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9da7b3; --rule: #3d444d; --card: #161b22; --charge: #58a6ff; --refund: #f0883e; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, "DejaVu Sans", "Liberation Sans", Arial, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } footer, .legend { color: var(--soft); font-size: .85rem; } footer { margin-top: 2rem; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 .8em; } .key:first-child { margin-left: 0; }
.key.charge { background: var(--charge); } .key.refund { background: var(--refund); }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; margin: 1rem 0; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .35rem .7rem; min-width: 0; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0 0 .4rem; overflow-wrap: anywhere; }
.figures dd { font-size: 1.2rem; font-weight: bold; margin: 0; }
.figures dd span { display: block; color: var(--soft); font-size: .85rem; font-weight: normal; }
.date { white-space: nowrap; }
.beside { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem 2rem; align-items: start; }
figure { margin: 0; min-width: 0; } figure > svg { display: block; width: 100%; height: auto; overflow: hidden; }
svg text { font: 13px "DejaVu Sans", "Liberation Sans", Arial, sans-serif; fill: var(--ink); }
.charge { fill: var(--charge); } .refund { fill: var(--refund); }
.axis { stroke: var(--soft); stroke-width: 1; } .grid { stroke: var(--rule); stroke-width: 1; } .end { fill: var(--refund); }
.balance { fill: none; stroke: var(--charge); stroke-width: 2; }
.numbers { min-width: 0; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { text-align: left; font-weight: normal; padding: .2rem .5rem .2rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { color: var(--soft); } .number { text-align: right; padding: .2rem 0 .2rem .5rem; white-space: nowrap; }
.long { white-space: normal; overflow-wrap: anywhere; }
th[scope=row] { min-width: 5.6rem; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; }
@media (min-width: 52rem) {
  .beside { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  .figures { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .75rem; }
}
@media print {
  :root { --paper: #ffffff; --ink: #000000; --soft: #444444; --rule: #bbbbbb; --card: #ffffff; --charge: #1f6feb; --refund: #bc4c00; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; } h2 { break-after: avoid; } figure, tr, .figures div { break-inside: avoid; }
  .beside { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
}
]]
