import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatStyle } from '../../src/lib/cssformat.ts'

let seed = 29
const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
const laid = (css: string) => formatStyle(css).text
const bare = (css: string) => css.replace(/[ \t\n\r\f]/g, '')

const cases: [what: string, css: string, want: string][] = [
  ['rules and declarations', 'a{color:red;margin:0}b > c , d{x:y;}', 'a {\n  color: red;\n  margin: 0\n}\n\nb > c,\nd {\n  x: y;\n}'],
  ['nothing in a rule', 'a{}\n\n\nb{ }', 'a {}\n\nb {}'],
  ['at-rules without a block', '@charset "utf-8";@import url(a.css) screen,print;a{b:c}', '@charset "utf-8";\n@import url(a.css) screen, print;\n\na {\n  b: c\n}'],
  ['at-rules within at-rules', '@media (min-width:1px) and (x),print{@supports(a:b){d{e:f}}g{h:i}}', '@media (min-width:1px) and (x), print {\n  @supports(a:b) {\n    d {\n      e: f\n    }\n  }\n\n  g {\n    h: i\n  }\n}'],
  ['nested rules', '.a{color:red;&:hover{x:y}.b &{z:0}}', '.a {\n  color: red;\n\n  &:hover {\n    x: y\n  }\n\n  .b & {\n    z: 0\n  }\n}'],
  ['strings', `a::before{content:"}\\"{;/*";x:'a:b,c'}`, `a::before {\n  content: "}\\"{;/*";\n  x: 'a:b,c'\n}`],
  ['a string that its line ends', 'a{b:"c\n;d:e}', 'a {\n  b: "c\n;\n  d: e\n}'],
  ['addresses', 'a{b:URL( data:x;base64,A{}= ) , url("c;d")}', 'a {\n  b: URL( data:x;base64,A{}= ), url("c;d")\n}'],
  ['comments', '/* {a} */a{/*b*/c:d;  /* e\n  f */g:h/*;*/;\n/* i */}', '/* {a} */\na {\n  /*b*/\n  c: d; /* e\n  f */\n  g: h/*;*/;\n  /* i */\n}'],
  ['functions', 'a:not(.b,.c)+d{x:rgba(0,0,0,.5)!important;y:a,b}', 'a:not(.b, .c)+d {\n  x: rgba(0, 0, 0, .5) !important;\n  y: a, b\n}'],
  ['selectors keep the space that means something', 'a :hover,a:hover{b :c}', 'a :hover,\na:hover {\n  b: c\n}'],
  ['custom properties', ':root{--a:;--b:{c:d};--e: 1}', ':root {\n  --a:;\n\n  --b: {\n    c: d\n  };\n  --e: 1\n}'],
  ['escapes', '.a\\:b\\{,.c\\ :hover{d\\ :e}', '.a\\:b\\{,\n.c\\ :hover {\n  d\\ : e\n}'],
  ['an attribute', 'a[b="c"],d[e]{f:g}', 'a[b="c"],\nd[e] {\n  f: g\n}'],
  ['what never ends', 'a{b:c(d;e', 'a {\n  b: c(d;e'],
  ['an unclosed bracket', 'a{b:c(d}e{f:g}', 'a {\n  b: c(d\n}\n\ne {\n  f: g\n}'],
  ['too many ends', '}a{b:c}}d{e:f};', '}\n\na {\n  b: c\n}\n}\n\nd {\n  e: f\n};'],
  ['nothing', ' \n', ''],
]
for (const [what, css, want] of cases) {
  test(`a style sheet is laid out: ${what}`, () => {
    assert.equal(laid(css), want)
    assert.equal(laid(want), want, 'what is laid out stays so')
  })
}

test('any text keeps all but its white space', () => {
  const tokens = ['a', 'b', ':', ';', ',', '{', '}', '(', ')', '[', ']', '"', "'", '\\', '/*', '*/', '/', ' ', '\n', '\r\n', '\t', '\f', '@media', '!', 'url(', '--x', 'é', '\u00a0', '\u2028']
  for (let k = 0; k < 20_000; k++) {
    const css = Array.from({ length: random(40) }, () => tokens[random(tokens.length)]).join('')
    const once = laid(css)
    assert.equal(bare(once), bare(css), JSON.stringify(css))
    assert.equal(bare(laid(once)), bare(css), JSON.stringify(css))
  }
})

test('any bytes are read', () => {
  for (let k = 0; k < 2000; k++) {
    const css = new TextDecoder().decode(Uint8Array.from({ length: random(300) }, () => random(65536) >> 8))
    assert.equal(bare(laid(css)), bare(css))
  }
})

test('the time and the text are bounded', () => {
  for (const unit of ['{', '}', '(', '"', '\\', '/*', 'a,', 'a:', ';', 'url(', 'url( \n', 'a{b:c;', '!', '/', '/ *']) {
    const started = performance.now()
    const { text, cut } = formatStyle(unit.repeat((unit === '{' ? 3 << 20 : 1 << 19) / unit.length))
    assert.ok(text.length < 36 << 20, `${unit}: ${text.length}`)
    assert.equal(cut, unit === '{', unit)
    assert.ok(performance.now() - started < 10_000, `${unit} took ${performance.now() - started} ms`)
  }
})
