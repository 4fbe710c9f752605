// Draws pieces: elements with attributes and a text, or with pieces in them. Nothing of them is ever read as markup.
import { h, toRaw } from "vue";

const draw = ([tag, attributes, inside]) => h(tag, attributes, Array.isArray(inside) ? inside.map(draw) : inside);

export default {
  props: { root: String, pieces: Array },
  render() {
    // Raw: they are replaced as a whole, so that nobody needs to watch each of them.
    return h(this.root, toRaw(this.pieces).map(draw));
  },
};
