// Groups of copies: each pair is seen side by side, and judged.

import { ask, judge } from "./api.js";
import { byId, chances, make, named, plural, say, strip } from "./dom.js";
import { lastFolder } from "./picker.js";
import { nothing } from "./search.js";
import { viewer } from "./viewer.js";

const VERDICTS = { c: "copy", n: "not a copy" };
const LISTED = 20; // pairs of a group, unless all are asked for

let found = null; // the answer of the server: groups of videos and pairs
let foundWith = ""; // what it was found with
let running = null;
let shown = null; // what is on the screen: group, pair, viewer

let empty = false; // whether the collection has no video
let all = null; // the group of which all pairs are listed

export function startCopies(about) {
  empty = !about.videos;
  for (const id of ["rate", "mirrored", "rotated"]) {
    byId(id).addEventListener("change", () => {
      if (location.hash === "#/copies") showCopies();
      else location.hash = "#/copies";
    });
  }
}

export function leaveCopies() {
  running?.abort();
  running = null;
  shown?.viewer.close();
  shown = null;
}

// Shows a pair of a group; without numbers, the first that is not judged.
export async function showCopies(group, pair) {
  leaveCopies();
  if (empty) {
    byId("found").textContent = "No videos";
    byId("main").replaceChildren(nothing());
    return;
  }
  const asked = { false_alarms: byId("rate").value, mirrored: byId("mirrored").checked, rotated: byId("rotated").checked };
  if (foundWith !== JSON.stringify(asked) && !(await find(asked))) return;
  listGroups(group);
  if (!found.length) {
    byId("main").replaceChildren(make("div", { class: "invite" },
      make("h2", {}, "No copies"),
      make("p", {}, "No two videos of the collection are near enough. Allow more false pairs, and more pairs are shown.")));
    return;
  }
  if (group === undefined) {
    byId("main").replaceChildren(); // a telephone shows the list alone
    const [first, second] = nextOpen(0, -1) ?? [0, 0];
    if (matchMedia("(min-width: 48rem)").matches) location.replace(`#/copies/${first + 1}/${second + 1}`);
    return;
  }
  const place = Math.min(Math.max(group, 0), found.length - 1);
  const open = found[place].pairs.findIndex(({ verdict }) => !verdict);
  present(place, Math.min(pair ?? Math.max(open, 0), found[place].pairs.length - 1));
}

async function find(asked) {
  running = new AbortController();
  const text = "Comparing the videos of the collection";
  byId("found").textContent = `${text}…`;
  byId("grouplist").replaceChildren();
  byId("main").replaceChildren(make("div", { class: "waiting" }, make("p", {}, text), make("progress", { "aria-label": text })));
  say(text);
  try {
    found = (await ask("/api/copies", asked, running.signal)).groups;
    foundWith = JSON.stringify(asked);
    all = null;
    say(`${plural(found.length, "group")} of copies.`);
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    byId("found").textContent = error.message;
    byId("main").replaceChildren(make("div", { class: "problem", role: "alert" }, make("h2", {}, "Copies can't be found"), make("p", {}, error.message)));
    return false;
  }
}

const judged = (group) => group.pairs.filter(({ verdict }) => verdict).length;
const fileOf = (group, id) => group.videos.map(([first]) => first).find((file) => file.id === id);

function progress({ pairs }) {
  if (!pairs.length) return "the same file";
  return pairs.every(({ verdict }) => verdict) ? "judged" : `${judged({ pairs })} of ${plural(pairs.length, "pair")} judged`;
}

function listGroups(current) {
  byId("found").textContent = found.length ? plural(found.length, "group") : "No copies";
  byId("grouplist").replaceChildren(...found.map((group, place) => {
    const first = group.pairs.length ? fileOf(group, group.pairs[0].a) : group.videos[0][0];
    const link = make("a", { href: `#/copies/${place + 1}`, class: "row" }, strip(first.id),
      make("span", { class: "text" }, named(first.name),
        make("span", { class: "under" },
          make("span", {}, plural(group.videos.flat().length, "file")),
          make("span", { class: judged(group) === group.pairs.length ? "done" : "" }, progress(group)))));
    if (place === current) link.setAttribute("aria-current", "true");
    return make("li", {}, link);
  }));
  byId("grouplist").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

function present(group, pair) {
  const { pairs, videos } = found[group];
  const used = document.activeElement?.dataset.key; // who has pressed a button can press it again
  byId("main").replaceChildren(
    make("a", { href: "#/copies", class: "back" }, "All groups"),
    make("div", { class: "heading" }, make("h2", {}, `Group ${group + 1} of ${found.length}`),
      pairs.length ? make("p", { class: "legend" }, about(pairs[pair], pair, pairs.length)) : null),
    ...(pairs.length ? judging(group, pair) : []),
    sameContent(videos));
  if (used) byId("main").querySelector(`[data-key="${used}"]`)?.focus();
}

function about({ turn, chance }, place, count) {
  const parts = [`pair ${place + 1} of ${count}`, turn, chance === null ? "" : `${chances(chance)} by chance`];
  return parts.filter(Boolean).join(", ");
}

function judging(group, pair) {
  const { pairs } = found[group];
  const { a, b, start_a, end_a, start_b, end_b, verdict } = pairs[pair];
  shown = { group, pair, viewer: viewer(
    { role: "A", ...fileOf(found[group], a), source: `/video/${a}`, start: start_a, end: end_a },
    { role: "B", ...fileOf(found[group], b), source: `/video/${b}`, start: start_b, end: end_b }) };
  const button = (key, text) => make("button", {
    type: "button", class: `verdict ${key}`, "data-key": key, "aria-pressed": String(verdict === VERDICTS[key]), onclick: () => decide(VERDICTS[key]),
  }, text, make("kbd", { "aria-hidden": "true" }, key.toUpperCase()));
  const plain = (key, text, onclick) => make("button", { type: "button", class: "plain", "data-key": key, onclick }, text);
  const open = pairs.length - judged(found[group]);
  return [
    shown.viewer.element,
    make("div", { class: "tools judge" }, button("c", "Copy"), button("n", "Not a copy"), shown.viewer.button,
      plain("later", "Later", () => step(1))),
    make("p", { id: "trouble", class: "trouble", role: "alert" }),
    ...(pairs.length > 1 ? [
      make("div", { class: "heading rule" }, make("h3", {}, plural(pairs.length, "pair")),
        open > 1 ? plain("all", `All ${open === pairs.length ? "" : "others "}are copies`, decideAll) : null),
      pairList(group, pair),
      ...(pairs.length > LISTED && all !== group ? [plain("list", `List all ${pairs.length} pairs`, listAll)] : []),
    ] : []),
  ];
}

function listAll() {
  const { group, pair } = shown;
  all = group;
  document.querySelector(".pairs").replaceWith(pairList(group, pair));
  document.querySelector("[data-key=list]").remove();
}

// The pairs of a group; of a large one, those around the one that is shown.
function pairList(group, current) {
  const { pairs } = found[group];
  const first = all === group ? 0 : Math.max(0, Math.min(current - LISTED / 2, pairs.length - LISTED));
  const some = all === group ? pairs : pairs.slice(first, first + LISTED);
  return make("ol", { class: "pairs", start: first + 1 }, ...some.map(({ a, b, verdict }, row) => {
    const place = first + row;
    const link = make("a", { href: `#/copies/${group + 1}/${place + 1}`, class: "row pair" },
      strip(a), strip(b),
      make("span", { class: "text" }, named(fileOf(found[group], a).name), named(fileOf(found[group], b).name),
        make("span", { class: verdict ? `badge ${verdict === "copy" ? "c" : "n"}` : "badge" }, verdict ?? "not judged")));
    if (place === current) link.setAttribute("aria-current", "true");
    return make("li", {}, link);
  }));
}

// Files with the same bytes need no judgement.
function sameContent(videos) {
  const lines = videos.filter((files) => files.length > 1).map((files) =>
    make("li", {}, ...files.flatMap(({ name, folder }, place) => [place ? " = " : "", named(`${lastFolder(folder)}/${name}`)])));
  return lines.length ? make("section", { class: "same" }, make("h3", {}, "The same file, byte by byte"), make("ul", {}, ...lines)) : "";
}

async function decide(verdict) {
  const { group, pair } = shown;
  if (await remember([found[group].pairs[pair]], verdict)) goOn(group, pair, verdict);
}

async function decideAll() {
  const { group, pair } = shown;
  const open = found[group].pairs.filter((one) => !one.verdict);
  if (await remember(open, VERDICTS.c)) goOn(group, pair, VERDICTS.c);
}

async function remember(pairs, verdict) {
  try {
    for (const one of pairs) {
      await judge(one.a, one.b, verdict);
      one.verdict = verdict;
    }
    return true;
  } catch (error) {
    byId("trouble").textContent = error.message;
    return false;
  }
}

function goOn(group, pair, verdict) {
  const next = nextOpen(group, pair);
  if (next) location.hash = `#/copies/${next[0] + 1}/${next[1] + 1}`;
  else {
    leaveCopies();
    present(group, pair);
    listGroups(group);
    byId("trouble").textContent = "All pairs are judged.";
  }
  say(`Judged: ${verdict}.${next ? "" : " All pairs are judged."}`);
}

// The next pair without a verdict behind this one, or else before it.
function nextOpen(group, pair) {
  const all = found.flatMap(({ pairs }, first) => pairs.map(({ verdict }, second) => [first, second, verdict]));
  const here = all.findIndex(([first, second]) => first === group && second === pair);
  const next = [...all.slice(here + 1), ...all.slice(0, Math.max(here, 0))].find(([, , verdict]) => !verdict);
  return next?.slice(0, 2);
}

function step(by) {
  const all = found.flatMap(({ pairs }, first) => pairs.map((_, second) => [first, second]));
  const here = all.findIndex(([first, second]) => first === shown.group && second === shown.pair);
  const [group, pair] = all[Math.min(Math.max(here + by, 0), all.length - 1)];
  location.hash = `#/copies/${group + 1}/${pair + 1}`;
}

export function copiesKey(key) {
  if (!shown) return false;
  if (key in VERDICTS) decide(VERDICTS[key]);
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === " ") shown.viewer.toggle();
  else return false;
  return true;
}
