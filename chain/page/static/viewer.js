// Two videos side by side, each with its place in time, played together or alone.

import { bytes, isWhole, length, make, named, span, strip } from "./dom.js";

// shown: {role, name, folder, id?, source, start, end, duration}; times are in seconds.
function pane(shown) {
  const { start, end } = shown;
  const part = Number.isFinite(start) && Number.isFinite(end);
  const whole = !part || isWhole(start, end, shown.duration);
  const source = whole ? shown.source : `${shown.source}#t=${start.toFixed(2)},${end.toFixed(2)}`;
  const video = make("video", {
    src: source, controls: true, playsinline: true, preload: "metadata", "aria-label": `${shown.role}: ${shown.name}`,
  });
  const note = make("p", { class: "note", role: "status" });
  const still = shown.id ? strip(shown.id) : make("span", { class: "strip" });
  const screen = make("div", { class: "screen" }, still, video, note);
  const track = bar(start, end, shown.duration);
  const times = make("p", { class: "times" }, [
    part ? span(start, end, shown.duration) : length(shown.duration),
    shown.size ? `, ${bytes(shown.size)}` : "",
  ].join(""));

  const failed = () => {
    screen.classList.add("failed");
    note.textContent = unplayable(shown);
  };
  video.addEventListener("loadedmetadata", () => {
    if (video.videoWidth) screen.classList.add("ready");
    else failed();
  });
  video.addEventListener("error", failed);
  const head = track.querySelector(".head");
  video.addEventListener("timeupdate", () => {
    if (video.duration) head.style.setProperty("left", `${(100 * video.currentTime) / video.duration}%`);
  });

  const title = make("figcaption", {},
    make("span", { class: "role" }, shown.role), named(shown.name),
    shown.folder ? named(shown.folder, "folder") : null);
  const element = make("figure", { class: "pane" }, title, screen, track, times);
  const close = () => {
    video.removeAttribute("src");
    video.load();
  };
  return { element, video, start: whole ? 0 : start, close };
}

function unplayable(shown) {
  const suffix = /\.([A-Za-z0-9]{1,8})$/.exec(shown.name)?.[1];
  const what = suffix ? `this ${suffix.toUpperCase()} file` : "this file";
  return `This browser can't play ${what}${shown.id ? "; eight frames of it are shown" : ""}.`;
}

// Where in a video a part is. Its text stands beside it, so that it needs no label.
export function bar(start, end, duration) {
  const part = make("span", { class: "part" });
  if (duration > 0 && Number.isFinite(start)) {
    const from = Math.max(0, Math.min(start / duration, 1));
    const to = Math.max(from, Math.min(end / duration, 1));
    part.style.setProperty("left", `${100 * from}%`);
    part.style.setProperty("width", `${100 * (to - from)}%`);
  } else {
    part.hidden = true;
  }
  return make("span", { class: "bar", "aria-hidden": "true" }, part, make("span", { class: "head" }));
}

export function viewer(first, second) {
  const panes = [pane(first), pane(second)];
  const playable = () => panes.filter(({ video }) => video.videoWidth && !video.error);
  const playing = () => playable().some(({ video }) => !video.paused);
  const button = make("button", { type: "button", class: "both", onclick: () => toggle() }, "Play both");

  function toggle() {
    if (playing()) {
      for (const { video } of panes) video.pause();
      return;
    }
    panes[1].video.muted = true; // one sound is enough
    for (const { video, start } of playable()) {
      video.currentTime = start;
      video.play().catch(() => {});
    }
  }
  const update = () => {
    button.textContent = playing() ? "Pause" : "Play both";
    button.disabled = !playable().length;
  };
  for (const { video } of panes)
    for (const event of ["play", "pause", "ended", "loadedmetadata", "error"]) video.addEventListener(event, update);
  update();

  return {
    element: make("div", { class: "viewer" }, ...panes.map(({ element }) => element)),
    button,
    toggle,
    close: () => panes.forEach(({ close }) => close()),
  };
}
