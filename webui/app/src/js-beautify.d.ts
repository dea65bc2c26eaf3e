// CommonJS: what it exports is the default of what an import gives.
declare module 'js-beautify/js/lib/beautify.js' {
  const lib: { js_beautify(source: string, options?: { indent_size?: number }): string }
  export default lib
}
