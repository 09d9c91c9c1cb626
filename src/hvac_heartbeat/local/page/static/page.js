// Keeps the page up to date without loading it anew, works out how long ago things were, and says when the server is
// lost. Without it the page is whole, but stands still.
"use strict";

const every = Number(document.documentElement.dataset.refresh) * 1000;
const patience = 10_000;
const notice = document.getElementById("connection");
const news = document.getElementById("news");
let etag = null;
let ahead = 0; // of the server's clock to ours, in milliseconds
let lostAt = null;
let timer = 0;
let asked = 0;
let isSearching = false;

// ------------------------------------------------------------------------------------------------------------- ages

// Ages are not part of what the server sends: it would be another answer every second.
function age(milliseconds) {
  let seconds = Math.max(Math.floor(milliseconds / 1000), 0);
  const parts = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    if (seconds >= length && (unit !== "s" || milliseconds < 600_000)) parts.push(`${Math.floor(seconds / length)} ${unit}`);
    seconds %= length;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

function showAges() {
  const now = (lostAt ?? Date.now()) + ahead; // what was not heard since the server was lost, nobody knows
  for (const span of document.querySelectorAll("main [data-since]")) write(span, age(now - Date.parse(span.dataset.since)));
  write(notice.querySelector(".age"), lostAt === null ? "" : `${age(Date.now() - lostAt)} ago`);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---------------------------------------------------------------------------------------------------------- refresh

async function refresh() {
  clearTimeout(timer);
  const turn = ++asked;
  const url = location.href;
  try {
    // The browser asks with If-None-Match by itself, and takes its own copy where the server answers 304.
    const answer = await fetch(url, { cache: "no-cache", signal: AbortSignal.timeout(patience) });
    const text = await answer.text();
    if (turn !== asked) return;
    if (answer.status === 401) location.reload(); // it asks for the token
    else if (answer.status === 503) lose("The database has not answered");
    else if (answer.status >= 500) lose("The server has not been able to show the page");
    else show(answer, text);
  } catch {
    if (turn !== asked) return;
    lose("The server has not answered");
  }
  if (!document.hidden) timer = setTimeout(refresh, every);
}

function show(answer, text) {
  const tag = answer.headers.get("etag");
  const next = tag && tag === etag ? null : new DOMParser().parseFromString(text, "text/html");
  if (next && !next.getElementById("connection")) { // a proxy's own page, for one that asks too often
    lose("Somebody else has answered for the server");
    return;
  }
  ahead = (Date.parse(answer.headers.get("date")) || Date.now()) - Date.now();
  find();
  if (!next) return;
  etag = tag;
  const focused = document.activeElement;
  for (const part of ["main", "nav"]) {
    const [old, anew] = [document.querySelector(part), next.querySelector(part)];
    if (old && anew) become(old, anew);
  }
  // The one thing that a screen reader is told of, beside what it searched for and the connection.
  if (document.title !== next.title) write(news, (document.title = next.title));
  if (isSearching) write(news, `${document.querySelectorAll(".tiles li").length} sites are shown`);
  isSearching = false;
  showAges();
  if (focused && document.activeElement !== focused) {
    (focused.isConnected ? focused : document.querySelector("main")).focus({ preventScroll: true });
  }
}

// Makes one element the same as another, and leaves alone what is the same: focus, scrolling and what was typed stay.
// Rows and tiles are known by their links, so that none becomes another under somebody's finger.
function become(old, anew) {
  for (const { name } of [...old.attributes]) if (!anew.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of anew.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.dataset.since && old.dataset.since === anew.dataset.since) return;
  const wanted = new Set([...anew.children].map(key));
  for (const child of [...old.children]) if (!wanted.has(key(child))) child.remove();
  const known = new Map([...old.children].map((child) => [key(child), child]));
  let place = old.firstChild;
  for (const child of [...anew.childNodes]) {
    const same = key(child) ? known.get(key(child)) : place;
    if (!same || !alike(same, child)) {
      old.insertBefore(child, place);
      continue;
    }
    if (same === place) place = place.nextSibling;
    else old.insertBefore(same, place);
    if (same.nodeType === Node.ELEMENT_NODE) become(same, child);
    else if (same.data !== child.data) same.data = child.data;
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

function alike(one, other) {
  return one.nodeName === other.nodeName && key(one) === key(other);
}

function key(node) {
  if (node.nodeName === "LI" || node.nodeName === "TR") return node.querySelector("a")?.getAttribute("href") ?? "";
  return node.id ?? "";
}

// ------------------------------------------------------------------------------------------------- lost, and found

function lose(why) {
  if (lostAt === null) lostAt = Date.now();
  tell(`${why} since ${clock(lostAt + ahead)}. What you see is from then.`, "lost");
}

function find() {
  if (lostAt === null) return;
  lostAt = null;
  tell(`Back since ${clock(Date.now() + ahead)}.`, "lost back");
  setTimeout(() => { if (lostAt === null) tell("", ""); }, patience);
}

function tell(what, how) {
  notice.className = how;
  write(notice.querySelector("p"), what);
  showAges();
}

function clock(time) {
  return `${new Date(time).toISOString().slice(11, 19)} UTC`;
}

// ----------------------------------------------------------------------------------------------------------- search

document.addEventListener("input", ({ target }) => {
  if (target.type !== "search") return;
  const url = new URL(location.pathname, location.origin);
  if (target.value) url.searchParams.set(target.name, target.value);
  history.replaceState(null, "", url);
  clearTimeout(timer);
  asked++; // what is on its way answers an older question
  isSearching = true;
  timer = setTimeout(refresh, 200);
});

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
setInterval(showAges, 1000);
showAges();
refresh();
