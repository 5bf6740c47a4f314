// The site must open from a USB stick, and a page with a `file:` address may start no worker. There the search's script
// runs in a hidden frame of the same page, which to it is the same. (The theme looks for "iframe-worker" in the names
// of `extra.polyfills`, and would otherwise name a script on somebody else's server.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #inside
    #loaded

    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.#inside = frame.contentWindow
      this.#inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.#inside.importScripts = async (...urls) => {
        for (const each of urls) await this.#load(each)
      }
      this.#loaded = this.#load(url)
    }

    #load(url) {
      const script = this.#inside.document.createElement("script")
      script.src = new URL(url, document.baseURI).href
      const done = new Promise((resolve, reject) => { script.onload = resolve; script.onerror = reject })
      this.#inside.document.body.append(script)
      return done
    }

    async postMessage(data) {
      await this.#loaded
      this.#inside.dispatchEvent(new MessageEvent("message", { data }))
    }

    terminate() {
      this.#inside.frameElement.remove()
    }
  }
}
