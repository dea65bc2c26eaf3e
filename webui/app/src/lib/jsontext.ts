// JSON as text that is laid out anew without being read as values: numbers and escapes stay as they are written.

/** reindent lays JSON out with two spaces a level; "" where it is none. */
export function reindent(text: string): string {
  try {
    JSON.parse(text)
  } catch {
    return ''
  }
  let out = ''
  let depth = 0
  const line = () => '\n' + '  '.repeat(depth)
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === '"') {
      let end = i + 1
      while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1
      out += text.slice(i, end + 1)
      i = end
    } else if (c === '{' || c === '[') {
      const rest = /^\s*[}\]]/.exec(text.slice(i + 1, i + 200))
      if (rest) {
        out += c + rest[0].trim()
        i += rest[0].length
        continue
      }
      depth++
      out += c + line()
    } else if (c === '}' || c === ']') {
      depth--
      out += line() + c
    } else if (c === ',') {
      out += c + line()
    } else if (c === ':') {
      out += ': '
    } else if (!/\s/.test(c)) {
      out += c
    }
  }
  return out
}
