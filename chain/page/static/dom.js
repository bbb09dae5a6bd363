// Elements and texts. Names of files are set as text only, never as HTML.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

// The name of a file, kept apart from the direction of what stands around it.
export function named(name, css = "name") {
  return make("bdi", { class: css, title: name }, name);
}

export function say(text) {
  byId("live").textContent = text;
}

// Eight frames of a video; style sheets move them.
export function strip(id) {
  const frames = make("span", { class: "frames" });
  const image = make("img", { src: `/strip/${id}`, alt: "", loading: "lazy", draggable: "false" });
  image.addEventListener("load", () => {
    frames.style.setProperty("--aspect", image.naturalWidth / 8 / image.naturalHeight);
    frames.classList.add("loaded");
  });
  frames.append(image);
  return make("span", { class: "strip" }, frames);
}

const FINE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const count = (number) => new Intl.NumberFormat("en").format(number);
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const bits = (distance) => FINE.format(distance);

// 4:05, or 0:12.4 where tenths tell more.
export function clock(seconds, tenths = false) {
  const whole = tenths ? Math.round(seconds * 10) / 10 : Math.round(seconds);
  const rest = (whole % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export function length(seconds) {
  if (seconds < 60) return `${FINE.format(seconds)} s`;
  if (seconds < 3600) return `${clock(seconds)} min`;
  return `${FINE.format(seconds / 3600)} h`;
}

export function chances(number) {
  if (number === null) return "no number of";
  if (number >= 9.5) return count(Math.round(number));
  if (number >= 0.0001) return String(Number(number.toPrecision(number < 1 ? 1 : 2)));
  return "< 0.0001";
}
