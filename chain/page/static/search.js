// A search: by a video of the collection or by a file that was dropped, and its matches.

import { ask, upload } from "./api.js";
import { bits, byId, chances, make, named, plural, say, span, strip } from "./dom.js";
import { lastFolder, mark } from "./picker.js";
import { bar, viewer } from "./viewer.js";

const CHANCE = 1; // from so many expected chance matches on, a match says nothing

let collection;
let running = null;
let dropped = null; // the file that was searched with last, and where the browser has it
let shown = null; // what is on the screen: query, matches, selected, viewer
let k = 20;

export function startSearch(about) {
  collection = about;
  byId("file").addEventListener("change", (event) => {
    if (event.target.files.length) searchWith(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  });
}

// Leaves the screen: what runs is given up, and files are no longer read.
export function leaveSearch() {
  running?.abort();
  running = null;
  shown?.viewer?.close();
  shown = null;
}

export function invite() {
  mark(null);
  if (!collection.videos) {
    byId("main").replaceChildren(nothing());
    return;
  }
  byId("main").replaceChildren(make("div", { class: "invite" },
    make("h2", {}, "Find what is like a video"),
    make("p", {}, "Drop a video anywhere on this page, or choose one of the list. The nearest videos of the collection are then shown, and where in them it occurs."),
    make("label", { for: "file", class: "button" }, "Choose a file")));
}

// What both views show while the collection is empty.
export function nothing() {
  return make("div", { class: "invite" },
    make("h2", {}, "The collection is empty"),
    make("p", {}, "Type ", make("code", {}, collection.add), " in a terminal, where FOLDER has your videos. Then reload this page."));
}

export async function searchById(id) {
  leaveSearch();
  mark(id);
  const signal = begin();
  waiting("Looking through the collection");
  try {
    const query = await ask(`/api/videos/${id}`, {}, signal);
    waiting("Looking through the collection", query.name);
    const found = await ask(`/api/videos/${id}/nearest`, { k }, signal);
    present({ ...query, source: `/video/${id}` }, found);
  } catch (error) {
    failed(error);
  }
}

export function searchWith(file) {
  if (dropped) URL.revokeObjectURL(dropped.source);
  dropped = { file, source: URL.createObjectURL(file) };
  if (location.hash === "#/file") searchDropped();
  else location.hash = "#/file";
}

export async function searchDropped() {
  leaveSearch();
  mark(null);
  if (!dropped) {
    location.replace("#/search");
    return;
  }
  const { file, source } = dropped;
  const signal = begin();
  try {
    if (file.size > collection.upload_bytes)
      throw new Error(`The file is larger than ${plural(Math.round(collection.upload_bytes / 1e6), "megabyte")}.`);
    const progress = waiting("Sending the file", file.name);
    const found = await upload(file, { k, name: file.name }, signal, (share) => progress(share));
    const duration = Math.max(0, ...found.matches.map((match) => match.query_end));
    present({ name: file.name, folder: "", source, duration }, found);
  } catch (error) {
    failed(error, file.name);
  }
}

function begin() {
  running = new AbortController();
  return running.signal;
}

function waiting(text, name = "") {
  const meter = make("progress", { "aria-label": text });
  const line = make("p", {}, text);
  byId("main").replaceChildren(make("div", { class: "waiting" },
    back(), name ? make("h2", {}, named(name)) : null, line, meter,
    make("button", { type: "button", class: "plain", onclick: () => (location.hash = "#/search") }, "Cancel")));
  say(text);
  return (share) => {
    if (share < 1) meter.value = share;
    else {
      meter.removeAttribute("value");
      line.textContent = "Looking through the collection";
    }
  };
}

function failed(error, name = "") {
  if (error.name === "AbortError") return;
  byId("main").replaceChildren(make("div", { class: "problem", role: "alert" },
    back(), make("h2", {}, name ? named(name) : "The search failed"), make("p", {}, error.message),
    make("label", { for: "file", class: "button" }, "Choose another file")));
}

function back() {
  return make("a", { href: "#/search", class: "back" }, "All videos");
}

function present(query, { matches, rough }) {
  running = null;
  shown = { query, matches, selected: 0, viewer: null };
  const amount = make("select", { "aria-label": "How many matches", onchange: change },
    ...[10, 20, 50, 100].map((number) => make("option", { selected: number === k }, String(number))));
  const cards = make("ol", { class: "cards", id: "cards" });
  matches.forEach((match, place) => {
    const beyond = match.chance !== null && match.chance >= CHANCE;
    const before = place ? matches[place - 1].chance : 0;
    if (beyond && !(before >= CHANCE)) cards.append(divider(place));
    cards.append(make("li", { class: beyond ? "beyond" : "" }, card(match, place)));
  });
  const heading = make("div", { class: "heading" },
    make("h2", {}, matches.length ? "Nearest" : "Nothing is near"),
    matches.length ? make("label", { class: "amount" }, "Show ", amount) : null);
  byId("main").replaceChildren(
    back(), make("div", { id: "compare" }),
    heading, matches.length ? legend(rough) : make("p", {}, "The collection has no other video."), cards);
  if (matches.length) select(0);
  if (document.activeElement === document.body) byId("main").focus({ preventScroll: true }); // its keys scroll
  const nearest = matches[0];
  say(nearest
    ? `${plural(matches.length, "match", "matches")} for ${query.name}. The nearest is ${nearest.name}, at ${bits(nearest.distance)} bits.`
    : `No match for ${query.name}.`);
}

function change(event) {
  k = Number(event.target.value);
  window.dispatchEvent(new HashChangeEvent("hashchange")); // search again
}

function divider(place) {
  const text = "he distance alone can't tell a match from chance.";
  return make("li", { class: "divider" }, place ? `From here on, t${text}` : `T${text}`);
}

function legend(rough) {
  return make("p", { class: "legend" },
    `Distance is in bits, of ${collection.bits}. “By chance” is how many unrelated videos are expected as near as this, in a collection of this size.`,
    rough ? " It is a rough figure here, since the collection has too few unrelated videos to tell." : "");
}

function card(match, place) {
  return make("button", { type: "button", class: "card", "data-place": place, onclick: () => select(place, true) },
    strip(match.id),
    make("span", { class: "text" },
      named(match.name),
      make("span", { class: "under" }, named(lastFolder(match.folder), "folder")),
      numbers(match),
      bar(match.start, match.end, match.duration),
      make("span", { class: "times" }, span(match.start, match.end, match.duration))));
}

function numbers(match) {
  return make("span", { class: "numbers" },
    make("span", {}, make("b", {}, bits(match.distance)), match.distance === 1 ? " bit" : " bits"),
    match.chance === null ? null : make("span", { class: `chance ${strength(match.chance)}` }, `${chances(match.chance)} by chance`));
}

function strength(chance) {
  if (chance >= CHANCE) return "none";
  return chance < 0.01 ? "strong" : "some";
}

// Shows one match beside the query.
function select(place, byHand = false) {
  const { query, matches } = shown;
  const match = matches[place];
  shown.viewer?.close();
  shown.selected = place;
  shown.viewer = viewer(
    { role: "Query", ...query, start: match.query_start, end: match.query_end, duration: query.duration || match.query_end },
    { role: `Match ${place + 1}`, ...match, source: `/video/${match.id}` });
  const { element, button } = shown.viewer;
  byId("compare").replaceChildren(element, make("div", { class: "tools" }, button,
    make("a", { class: "button", href: `#/search/${match.id}` }, "Search with the match"), numbers(match)));
  for (const one of document.querySelectorAll(".card")) {
    if (Number(one.dataset.place) === place) {
      one.setAttribute("aria-current", "true");
      if (byHand) one.scrollIntoView({ block: "nearest" });
    } else one.removeAttribute("aria-current");
  }
  if (byHand) say(`${match.name}, ${bits(match.distance)} bits, ${span(match.start, match.end, match.duration)}`);
}

export function searchKey(key) {
  if (!shown?.matches.length) return false;
  const { matches, selected } = shown;
  if (key === "j") select(Math.min(selected + 1, matches.length - 1), true);
  else if (key === "k") select(Math.max(selected - 1, 0), true);
  else if (key === "s") location.hash = `#/search/${matches[selected].id}`;
  else if (key === " ") shown.viewer.toggle();
  else return false;
  return true;
}
