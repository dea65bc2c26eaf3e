// The live check: http://eaves.test/check is answered by the proxy only, https://eaves.test/check can be read only by
// who trusts its certificate. An answer counts if it names the certificate of the eaves that served this page.
"use strict";

const box = document.getElementById("check");
const { ca, host } = box.dataset;

function show(id, state, text) {
  const row = document.getElementById(id);
  const value = row.querySelector("dd");
  // Unchanged text is left alone: a screen reader would say it again.
  if (row.dataset.state !== state || value.textContent !== text) {
    row.dataset.state = state;
    value.textContent = text;
  }
}

async function answered(scheme) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 5000);
  try {
    const answer = await fetch(`${scheme}://${host}/check`, { cache: "no-store", credentials: "omit", signal: stop.signal });
    return answer.ok && (await answer.json()).eaves === ca;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

async function check() {
  // A page that came over https may not ask over http; that it came says that the proxy works.
  const here = location.hostname === host;
  const proxy = (here && location.protocol === "https:") || await answered("http");
  const trusted = proxy && await answered("https");
  show("proxy", proxy ? "good" : "bad", proxy ? "working" : here ? "no answer" : "not yet");
  if (proxy) {
    show("certificate", trusted ? "good" : "bad", trusted ? "trusted" : "not yet");
  } else {
    show("certificate", "wait", "once the proxy works");
  }
  document.getElementById("ready").hidden = !trusted;
  return trusted;
}

async function keepChecking() {
  const trusted = document.hidden ? false : await check();
  setTimeout(keepChecking, trusted ? 15000 : 3000);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    check();
  }
});

// An iPad asks for pages as a Mac does; a Mac has no screen to touch.
const ios = document.getElementById("ios");
if (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1 && ios) {
  for (const tag of document.querySelectorAll("#platforms .tag")) {
    tag.remove();
  }
  for (const other of document.querySelectorAll("#platforms details[open]")) {
    other.open = false;
  }
  document.getElementById("steps-title").after(ios);
  ios.open = true;
}

keepChecking();
