// Browsers start no Worker for a page that was opened from disk. This one runs the worker's script in a hidden frame.
// Served by http, the page uses the browser's own Worker.
if (location.protocol === "file:") {
  window.Worker = class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      const address = new URL(url, document.baseURI).href.replace(/"/g, "%22");
      const setup =
        "receive = (data) => dispatchEvent(new MessageEvent('message', { data }));" +
        "postMessage = (data) => parent.postMessage(data, '*');" +
        "importScripts = (...urls) => Promise.all(urls.map((url) => new Promise((resolve, reject) => {" +
        "  const script = document.createElement('script');" +
        "  Object.assign(script, { src: url, onload: resolve, onerror: reject });" +
        "  document.head.append(script);" +
        "})));";
      this.frame.srcdoc =
        `<!doctype html><html><head><base href="${address}"></head><body>` +
        `<script>${setup}</` + `script><script src="${address}"></` + "script></body></html>";
      this.frame.addEventListener("load", () => {
        const messages = this.waiting;
        this.waiting = null;
        messages.forEach((message) => this.postMessage(message));
      });
      window.addEventListener("message", (event) => {
        if (event.source !== this.frame.contentWindow) return;
        const message = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(message);
        this.onmessage?.(message);
      });
      document.body.append(this.frame);
    }

    postMessage(message) {
      if (this.waiting) this.waiting.push(message);
      else this.frame.contentWindow.receive(message);
    }

    terminate() {
      this.frame.remove();
    }
  };
}
