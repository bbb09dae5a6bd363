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

export function bytes(size) {
  return size < 1e6 ? `${FINE.format(size / 1e3)} kB` : size < 1e9 ? `${FINE.format(size / 1e6)} MB` : `${FINE.format(size / 1e9)} GB`;
}

// 1:02:05, or 4:05.
export function clock(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const pad = (number) => String(number).padStart(2, "0");
  return (hours ? `${hours}:${pad(minutes)}` : minutes) + `:${pad(whole % 60)}`;
}

export function length(seconds) {
  if (seconds < 60) return `${FINE.format(seconds)} s`;
  if (seconds < 3600) return `${clock(seconds)} min`;
  return `${FINE.format(seconds / 3600)} h`;
}

export const isWhole = (start, end, duration) => start <= 0.1 && end >= duration - 0.1;

// Which part of a video: "whole, 4.2 s", "0.3 to 0.8 s of 4.2 s" or "1:20 to 2:05 of 30:00".
export function span(start, end, duration) {
  if (isWhole(start, end, duration)) return `whole, ${length(duration)}`;
  if (duration < 60) return `${FINE.format(start)} to ${FINE.format(end)} s of ${FINE.format(duration)} s`;
  return `${clock(start)} to ${clock(end)} of ${clock(duration)}`;
}

export function chances(number) {
  if (number >= 9.5) return count(Math.round(number));
  if (number >= 0.0001) return String(Number(number.toPrecision(number < 1 ? 1 : 2)));
  return "< 0.0001";
}
