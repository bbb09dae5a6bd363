// The page: which view is shown, what is dropped, which key is pressed.

import { ask } from "./api.js";
import { copiesKey, leaveCopies, showCopies, startCopies } from "./copies.js";
import { byId, length, plural, say } from "./dom.js";
import { startPicker } from "./picker.js";
import { invite, leaveSearch, searchById, searchDropped, searchKey, searchWith, startSearch } from "./search.js";

function route() {
  const [view = "search", first, second] = location.hash.replace(/^#\/?/, "").split("/");
  const copies = view === "copies";
  byId("picker").hidden = copies;
  byId("groups").hidden = !copies;
  const detail = view === "file" || first !== undefined;
  document.body.classList.toggle("detail", detail); // on a telephone, the list or what was chosen
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === (copies ? "#/copies" : "#/search")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  leaveSearch();
  leaveCopies();
  const number = (text) => (/^[1-9][0-9]{0,8}$/.test(text) ? Number(text) - 1 : undefined);
  if (copies) showCopies(number(first), number(second));
  else if (view === "file") searchDropped();
  else if (/^[0-9a-f]{1,64}$/.test(first)) searchById(first);
  else invite();
  if (detail && matchMedia("(max-width: 48rem)").matches) scrollTo(0, 0);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const target = event.target;
  if (target.matches("input:not([type=file]), select, textarea")) {
    if (event.key === "Escape") target.blur();
    if (target.id === "words" && event.key === "ArrowDown" && focusRow(null, 1)) event.preventDefault();
    return;
  }
  const row = target.closest(".list a");
  if (row && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    if (focusRow(row, event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
    return;
  }
  if (event.key === " " && target.closest("button, a, video, label, input")) return;
  const key = event.key.toLowerCase();
  if (key === "/" && !byId("picker").hidden) {
    byId("words").focus();
    event.preventDefault();
  } else if (key === "?") {
    byId("keys").showModal();
  } else if (byId("picker").hidden ? copiesKey(key) : searchKey(key)) {
    event.preventDefault();
  }
}

function focusRow(row, by) {
  const rows = [...document.querySelectorAll("aside > :not([hidden]) .list a")];
  const place = row ? rows.indexOf(row) + by : 0;
  if (place < 0) byId("words").focus();
  rows[place]?.focus();
  return rows.length > 0;
}

function startDropping() {
  let depth = 0; // a drag enters and leaves each element on its way
  const over = (shown) => (byId("overlay").hidden = !shown);
  addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) over(++depth > 0);
  });
  addEventListener("dragleave", () => over((depth = Math.max(depth - 1, 0)) > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over((depth = 0) > 0);
    const file = event.dataTransfer?.files[0];
    if (file) searchWith(file);
  });
}

async function start() {
  const address = new URL(location);
  if (address.searchParams.has("token")) { // a cookie has it now; the address is shown and shared
    address.searchParams.delete("token");
    history.replaceState(null, "", address);
  }
  byId("help").addEventListener("click", () => byId("keys").showModal());
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says which view is shown
    byId("main").focus();
  });
  try {
    const about = await ask("/api/collection");
    byId("name").textContent = byId("name").title = about.name;
    byId("facts").textContent = `${plural(about.videos, "video")}, ${length(about.seconds)}, ${about.bits} bits`;
    document.title = `${about.name} – CHAIN`;
    startPicker();
    startSearch(about);
    startCopies(about);
    startDropping();
    addEventListener("keydown", onKey);
    addEventListener("hashchange", route);
    route();
  } catch (error) {
    byId("facts").textContent = error.message;
    say(error.message);
  }
}

start();
