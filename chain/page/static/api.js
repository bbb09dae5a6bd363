// What is asked of the server. Every failure is an Error whose message can be shown.

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `chain serve` still running?");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Error(sentence(body?.error) ?? `The server failed (${response.status}); its terminal says why.`);
}

export function ask(path, parameters = {}, signal = undefined) {
  return answer(fetch(`${path}?${new URLSearchParams(parameters)}`, { signal }));
}

export function judge(a, b, verdict) {
  const parameters = new URLSearchParams({ a, b, verdict });
  return answer(fetch(`/api/judgements?${parameters}`, { method: "POST" }));
}

// Sends a file; `fetch` can't tell how much of it has gone.
export function upload(file, parameters, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/nearest?${new URLSearchParams(parameters)}`);
    request.responseType = "json";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status === 200 && request.response) resolve(request.response);
      else reject(new Error(sentence(request.response?.error) ?? `The server failed (${request.status}); its terminal says why.`));
    });
    request.addEventListener("error", () => reject(new Error("The file could not be sent. Is `chain serve` still running?")));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".") : undefined;
}
