// Looks words up in the index beside it. The index is scripts, because a page that was opened from a folder may load nothing else.
"use strict";
const keepsake = (() => {
  const PAGE = 20;
  const SHARDS_MAX = 24;
  const wordShards = new Map();
  const memoryShards = new Map();
  const waiting = new Map();
  let directory = null;
  let turn = 0;

  // Loads a script once.
  const load = (path) => {
    if (!waiting.has(path)) {
      waiting.set(path, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = path;
        script.onload = resolve;
        script.onerror = () => { waiting.delete(path); reject(new Error(path + " cannot be read")); };
        document.head.append(script);
      }));
    }
    return waiting.get(path);
  };

  const isIdeographic = (c) => /[\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3fffd}]/u.test(c);
  const isJoiner = (c) => /[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u.test(c);

  // The words of a text, as they stand in the index. What is written without spaces is cut into pairs.
  const terms = (text) => {
    const folded = [...text.normalize("NFKD").replace(/\p{M}/gu, "")].map((c) => c.toLowerCase()).join("").normalize("NFC");
    const found = [];
    let word = "";
    let run = [];
    const endWord = () => { if (word) found.push([...word].slice(0, 64).join("")); word = ""; };
    const endRun = () => {
      if (run.length === 1) found.push(run[0]);
      for (let at = 1; at < run.length; at += 1) found.push(run[at - 1] + run[at]);
      run = [];
    };
    for (const c of folded) {
      if (isIdeographic(c)) { endWord(); run.push(c); continue; }
      endRun();
      if (isJoiner(c)) continue;
      if (/[\p{Alphabetic}\p{N}]/u.test(c)) word += c; else endWord();
    }
    endWord();
    endRun();
    return [...new Set(found)];
  };

  const decode = (shown, into) => {
    const bytes = atob(shown.slice(1));
    if (shown[0] === "b") {
      for (let at = 0; at < bytes.length; at += 1) into[at] |= bytes.charCodeAt(at);
      return;
    }
    let next = 0, value = 0, shift = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes.charCodeAt(at);
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
      if (byte < 0x80) {
        next += value;
        into[next >> 3] |= 1 << (next & 7);
        next += 1; value = 0; shift = 0;
      }
    }
  };

  // The memories that hold a word, or one that begins with it, a bit each.
  const holders = async (term, isWhole) => {
    const found = new Uint8Array(Math.ceil(directory.memories / 8));
    const firsts = directory.words;
    let low = 0, high = firsts.length;
    while (low < high) { const middle = (low + high) >> 1; if (firsts[middle] <= term) low = middle + 1; else high = middle; }
    const shards = [];
    for (let at = Math.max(0, low - 1); at < firsts.length && shards.length < (isWhole ? 1 : SHARDS_MAX); at += 1) {
      if (at >= low && !firsts[at].startsWith(term)) break;
      shards.push(at);
    }
    await Promise.all(shards.map((at) => load("search/t" + at + ".js")));
    for (const at of shards) {
      for (const [word, shown] of wordShards.get(at) || []) {
        if (isWhole ? word === term : word.startsWith(term)) decode(shown, found);
      }
    }
    if (shards.length === SHARDS_MAX) found.isPart = true;
    return found;
  };

  const listed = async (number) => {
    const at = Math.floor(number / directory.listed);
    await load("search/m" + at + ".js");
    return memoryShards.get(at)[number % directory.listed];
  };

  const element = (name, words, classes) => {
    const made = document.createElement(name);
    made.textContent = words;
    made.dir = "auto";
    if (classes) made.className = classes;
    return made;
  };

  const show = async (numbers, from, list, more, mine) => {
    const some = await Promise.all(numbers.slice(from, from + PAGE).map(listed));
    if (mine !== turn) return;
    for (const [address, heading, when, excerpt] of some) {
      const item = document.createElement("li");
      const link = element("a", heading);
      link.href = address;
      item.append(link);
      if (when && when !== heading) item.append(" ", element("span", when, "when"));
      if (excerpt) item.append(element("p", excerpt, "excerpt"));
      list.append(item);
    }
    more.hidden = from + PAGE >= numbers.length;
    more.disabled = false;
    more.onclick = () => {
      more.disabled = true;
      show(numbers, from + PAGE, list, more, mine).catch(() => { more.disabled = false; });
    };
  };

  const search = async (text) => {
    turn += 1;
    const mine = turn;
    const [told, list, more] = ["told", "found", "more"].map((id) => document.getElementById(id));
    const words = terms(text);
    if (words.length === 0) { told.textContent = ""; list.replaceChildren(); more.hidden = true; return; }
    const started = performance.now();
    try {
      // Whoever is still writing has not ended the last word.
      const ends = /[\s.,;!?]$/u.test(text);
      const all = await Promise.all(words.map((word, at) => holders(word, ends || at + 1 < words.length || isIdeographic([...word][0]))));
      if (mine !== turn) return;
      const numbers = [];
      for (let at = all[0].length - 1; at >= 0; at -= 1) {
        const bits = all.reduce((kept, found) => kept & found[at], 255);
        for (let bit = 7; bits && bit >= 0; bit -= 1) if (bits & (1 << bit)) numbers.push(at * 8 + bit);
      }
      list.replaceChildren();
      await show(numbers, 0, list, more, mine);
      if (mine !== turn) return;
      const atLeast = all.some((found) => found.isPart) ? "At least " : "";
      const count = numbers.length === 1 ? "1 memory" : numbers.length.toLocaleString("en") + " memories";
      told.textContent = numbers.length ? atLeast + count + ", the last first." : "No memory holds all of these words.";
      told.dataset.milliseconds = Math.round(performance.now() - started);
    } catch (error) {
      if (mine !== turn) return;
      told.textContent = "The index cannot be read: " + error.message + ". Is the folder whole?";
    }
  };

  const begin = () => {
    const form = document.getElementById("search");
    const input = document.getElementById("q");
    let timer = 0;
    form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); search(input.value + " "); });
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => search(input.value), 150); });
    const asked = new URLSearchParams(location.search).get("q");
    if (asked) { input.value = asked; search(asked + " "); }
    input.focus();
  };

  return {
    index(it) { directory = it; begin(); },
    words(at, shard) { wordShards.set(at, shard); },
    memories(at, shard) { memoryShards.set(at, shard); },
  };
})();
