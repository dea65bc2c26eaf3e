// Header fields as lines of text to edit, and back.

import type { Field } from '../api/types.ts'

export function headerLines(fields: Field[]): string {
  return fields.map((f) => `${f.name}: ${f.value}`).join('\n')
}

/** parseHeaders reads lines of "Name: value". was are the fields that the lines were made of. */
export function parseHeaders(text: string, was: Field[]): { name: string; value: string; raw?: string }[] {
  const left = [...was]
  return text.split('\n').map((line) => line.replace(/\r$/, '')).filter((line) => line.trim() !== '').map((line, i) => {
    const colon = line.indexOf(':', line.startsWith(':') ? 1 : 0)
    if (colon <= 0) throw new Error(`Line ${i + 1} of the headers has no colon: ${line}`)
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).trim()
    // A value that is not UTF-8 and was not touched keeps its bytes.
    const at = left.findIndex((f) => f.name === name && f.value === value)
    const raw = at >= 0 ? left.splice(at, 1)[0]!.raw : undefined
    return raw ? { name, value, raw } : { name, value }
  })
}
