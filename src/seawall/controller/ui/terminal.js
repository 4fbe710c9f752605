// A terminal: xterm.js, as NiceGUI brings it along. NiceGUI's own component has a template, which takes `eval` to compile.
//
// What comes from a container is drawn, never run: links in it do nothing, and nothing of the page can be reached from it.
import { Terminal, FitAddon } from "nicegui-xterm";
import { h } from "vue";

const noLinks = { activate() {} };

export default {
  props: { resourcePath: String, session: Number, output: Array },
  data: () => ({ shown: 0 }),
  render() {
    return h("div", { class: "terminal", role: "application", "aria-label": "Terminal" });
  },
  watch: {
    session() {
      this.begin();
    },
    output: {
      deep: true,
      handler() {
        this.draw();
      },
    },
  },
  mounted() {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = window.path_prefix + this.resourcePath + "/xterm.css";
    document.head.append(style);
    if (this.session) this.begin();
  },
  beforeUnmount() {
    this.end();
  },
  methods: {
    end() {
      this.watching?.disconnect();
      this.terminal?.dispose();
      this.terminal = null;
    },
    begin() {
      this.end();
      if (!this.session) return;
      this.shown = 0;
      const terminal = new Terminal({ linkHandler: noLinks, scrollback: 2000, screenReaderMode: true });
      const fitting = new FitAddon();
      terminal.loadAddon(fitting);
      terminal.onData((keys) => this.$emit("keys", keys));
      terminal.onResize((size) => this.$emit("size", [size.cols, size.rows]));
      this.$nextTick(() => {
        terminal.open(this.$el);
        this.terminal = terminal;
        this.watching = new ResizeObserver(() => fitting.fit());
        this.watching.observe(this.$el);
        fitting.fit();
        this.$emit("size", [terminal.cols, terminal.rows]);
        terminal.focus();
        this.draw();
      });
    },
    // `output` is the number of its first piece and the pieces that haven't been confirmed: each is drawn once.
    draw() {
      if (!this.terminal || !this.output) return;
      const [first, pieces] = this.output;
      const fresh = pieces.slice(Math.max(0, this.shown - first));
      if (!fresh.length) return;
      this.shown = first + pieces.length;
      const [session, shown] = [this.session, this.shown];
      this.terminal.write(fresh.join(""), () => this.$emit("drawn", [session, shown]));
    },
  },
};
