import assert from 'node:assert/strict'
import { getIndentation, syntaxTree } from '@codemirror/language'
import { EditorState } from '@codemirror/state'
import { test } from 'node:test'
import { endTag, xml } from '../../src/ui/xmllanguage.ts'

const state = (doc: string) => EditorState.create({ doc, extensions: [xml()] })

/** after is what is written once the text in front of the bar has been typed. */
function after(doc: string): string {
  const at = doc.indexOf('|')
  return endTag(state(doc.replace('|', '')), at)
}

test('an element is ended where its tag is, or where its end is begun', () => {
  const cases: [doc: string, want: string][] = [
    ['<a>|', '</a>'],
    ['<a><b x="1">|</a>', '</b>'],
    ['<a></|', 'a>'],
    ['<a><b/></|', 'a>'],
    ['<a></|>', 'a'],
    ['<a>|</a>', ''],
    ['<a/>|', ''],
    ['<a></a>|', ''],
    ['a >|', ''],
    ['<a b="/|', ''],
    ['/|', ''],
    ['>|', ''],
    ['|', ''],
    ['<!-- >|', ''],
  ]
  for (const [doc, want] of cases) assert.equal(after(doc), want, doc)
})

test('what is within an element is indented', () => {
  const s = state('<a>\n<b>\n</b>\n</a>')
  assert.equal(getIndentation(s, 4), 2)
  assert.equal(getIndentation(s, 13), 0)
})

test('mistakes are marked in the tree', () => {
  const wrong = (doc: string) => {
    let found = false
    syntaxTree(state(doc)).iterate({ enter: (n) => { found ||= n.type.isError } })
    return found
  }
  assert.equal(wrong('<a x="1"><b/>t</a>'), false)
  assert.equal(wrong('<a <b/>'), true)
})
