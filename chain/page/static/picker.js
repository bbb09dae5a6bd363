// The list of the collection's videos: found by words, a page of fifty at a time.

import { ask } from "./api.js";
import { byId, count, length, make, named, plural, strip } from "./dom.js";

const LIMIT = 50;
const PAUSE = 120; // milliseconds after a key before the list is asked for

let offset = 0;
let chosen = null;
let running = null;

export function startPicker() {
  let timer = 0;
  byId("words").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => turn(0), PAUSE);
  });
  byId("previous").addEventListener("click", () => turn(offset - LIMIT));
  byId("next").addEventListener("click", () => turn(offset + LIMIT));
  turn(0);
}

// Marks the video that is searched with, and no other.
export function mark(id) {
  chosen = id;
  for (const link of byId("list").querySelectorAll("a")) setCurrent(link);
}

function setCurrent(link) {
  if (link.dataset.id === chosen) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

async function turn(to) {
  running?.abort();
  running = new AbortController();
  try {
    const words = byId("words").value;
    const found = await ask("/api/videos", { words, offset: to, limit: LIMIT }, running.signal);
    offset = to;
    show(found, words.trim());
  } catch (error) {
    if (error.name !== "AbortError") byId("count").textContent = error.message;
  }
}

function show({ total, videos }, words) {
  byId("list").replaceChildren(...videos.map(row));
  byId("side").scrollTop = 0;
  const last = offset + videos.length;
  byId("count").textContent = words ? `${plural(total, "video")} found` : total ? plural(total, "video") : "The collection is empty. `chain add` fills it.";
  byId("range").textContent = total > LIMIT ? `${count(offset + 1)}–${count(last)} of ${count(total)}` : "";
  byId("previous").disabled = offset === 0;
  byId("next").disabled = last >= total;
  document.querySelector(".pager").hidden = total <= LIMIT;
}

function row(video) {
  const link = make("a", { href: `#/search/${video.id}`, "data-id": video.id, class: "row" },
    strip(video.id),
    make("span", { class: "text" }, named(video.name),
      make("span", { class: "under" }, make("span", {}, length(video.duration)), named(lastFolder(video.folder), "folder"))));
  setCurrent(link);
  return make("li", {}, link);
}

export const lastFolder = (folder) => folder.split("/").filter(Boolean).slice(-2).join("/");
