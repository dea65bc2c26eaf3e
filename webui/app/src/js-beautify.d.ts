declare module 'js-beautify/js/lib/beautify.js' {
  export function js_beautify(source: string, options?: { indent_size?: number }): string
}
declare module 'js-beautify/js/lib/beautify-css.js' {
  export function css_beautify(source: string, options?: { indent_size?: number }): string
}
