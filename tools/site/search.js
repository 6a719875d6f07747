// Searches the sections of all pages. `sections` is in index.js: lists of page, heading, address and text.
"use strict";
const input = document.getElementById("search");
const results = document.getElementById("results");

function score(section, words) {
  const [page, heading, , text] = section;
  const title = `${heading} ${page}`.toLowerCase();
  const body = text.toLowerCase();
  let sum = 0;
  for (const word of words) {
    if (heading.toLowerCase() === word) sum += 20;
    if (title.includes(word)) sum += 10;
    else if (body.includes(word)) sum += 1;
    else return 0;
  }
  return sum;
}

function excerpt(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  return (at > 0 ? "…" : "") + text.slice(at, at + 160) + (at + 160 < text.length ? "…" : "");
}

function item([page, heading, address, text], word) {
  const entry = document.createElement("li"), link = document.createElement("a");
  const words = document.createElement("p");
  link.href = address;
  link.textContent = heading === page ? page : `${page}: ${heading}`;
  words.textContent = excerpt(text, word);
  entry.append(link, words);
  return entry;
}

function search() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? sections.map(section => [score(section, words), section])
    .filter(row => row[0] > 0).sort((a, b) => b[0] - a[0]).slice(0, 20) : [];
  results.replaceChildren(...found.map(row => item(row[1], words[0])));
  if (words.length && !found.length) {
    const entry = document.createElement("li");
    entry.textContent = "Nothing found.";
    results.append(entry);
  }
}

input.addEventListener("input", search);
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== input) {
    event.preventDefault();
    input.focus();
  }
});
search();
