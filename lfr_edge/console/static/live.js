// The live channel. The page keeps the cursor of the last change it saw and asks for what came after it.

import { say } from "./dom.js";

const RETRY_MS = [300, 1000, 2000, 4000];
const SILENCE_MS = 4000; // the server says its state every second

export class Live {
  #cursor = null;
  #socket = null;
  #tries = 0;
  #watch = 0;
  #hereAt = 0;

  /** `on` has: desk(picture), alert(event), status(state), link(connected, resumed). */
  constructor(on) {
    this.on = on;
    for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => this.here(), { passive: true });
    this.open();
  }

  open() {
    const after = this.#cursor === null ? "" : `?after=${this.#cursor}`;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live${after}`);
    this.#socket = socket;
    socket.onopen = () => this.listenForSilence();
    socket.onmessage = (message) => {
      this.listenForSilence();
      this.take(JSON.parse(message.data));
    };
    socket.onclose = (event) => this.lost(event.code, socket);
  }

  take(message) {
    if (this.#tries !== 0 || !this.seen) {
      this.on.link(true, this.seen === true);
      this.seen = true;
      this.#tries = 0;
    }
    if (message.cursor !== undefined) this.#cursor = message.cursor;
    this.on[message.t](message);
  }

  lost(code, socket) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#watch);
    if (code === 4001) return location.assign("/sign-in?next=/desk");
    this.on.link(false, false);
    const wait = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)];
    this.#tries += 1;
    setTimeout(() => this.probe(), wait);
  }

  /** A refused handshake tells a page nothing, so ask whether we are signed out before knocking again. */
  async probe() {
    try {
      const answer = await fetch("/api/status");
      if (answer.status === 401) return location.assign("/sign-in?next=/desk");
    } catch {
      // the network is gone: open() fails too and tries again
    }
    this.open();
  }

  listenForSilence() {
    clearTimeout(this.#watch);
    const socket = this.#socket;
    this.#watch = setTimeout(() => {
      socket.onclose = null;
      socket.close();
      this.lost(0, socket);
    }, SILENCE_MS);
  }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Says that the alert stands on this screen: after its pictures are decoded and a frame was drawn. */
  painted(token) {
    requestAnimationFrame(() => setTimeout(() => this.send({ painted: token, wall_ms: Date.now() })));
  }

  /** A person is there; said at most every 20 seconds. */
  here() {
    if (Date.now() - this.#hereAt < 20000) return;
    this.#hereAt = Date.now();
    this.send({ here: 1 });
  }
}

/** A tone that carries in a van but does not startle. `pattern`: frequencies in hertz, one after the other. */
export class Tone {
  #context = null;
  on = true;

  play(pattern) {
    if (!this.on) return;
    this.#context ??= new AudioContext();
    const context = this.#context;
    if (context.state === "suspended") context.resume();
    pattern.forEach((hertz, index) => {
      const oscillator = context.createOscillator();
      const gain = context.createGain();
      const start = context.currentTime + index * 0.18;
      oscillator.frequency.value = hertz;
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(0.18, start + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.001, start + 0.17);
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(start);
      oscillator.stop(start + 0.18);
    });
  }

  get blocked() {
    return this.on && !navigator.userActivation?.hasBeenActive;
  }

  text() {
    return say("no_sound");
  }
}
