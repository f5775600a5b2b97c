// Search when the site is opened from the disk, where browsers refuse workers: the worker's script runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.worker = this;
      this.frame.srcdoc =
        "<script>self.postMessage = (data) => setTimeout(() => frameElement.worker.receive(data))</script>" +
        `<script src="${new URL(script, document.baseURI)}"></script>`;
      this.loaded = new Promise((resolve) => { this.frame.onload = resolve; });
      document.documentElement.append(this.frame);
    }

    /** A message to the script. */
    async postMessage(data) {
      await this.loaded;
      this.frame.contentWindow?.dispatchEvent(new MessageEvent("message", { data }));
    }

    /** A message from the script. */
    receive(data) {
      const event = new MessageEvent("message", { data });
      this.onmessage?.(event);
      this.dispatchEvent(event);
    }

    terminate() { this.frame.remove(); }
  };
}
