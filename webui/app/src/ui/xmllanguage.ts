// XML for the editor: its grammar, how it is indented, and end tags that write themselves.

import { bracketMatchingHandle, indentNodeProp, LanguageSupport, LRLanguage, syntaxTree } from '@codemirror/language'
import { EditorSelection, type EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import { parser } from '@lezer/xml'

const language = LRLanguage.define({
  name: 'xml',
  parser: parser.configure({
    props: [
      indentNodeProp.add({
        Element: (c) => c.lineIndent(c.node.from) + (/^\s*<\//.test(c.textAfter) ? 0 : c.unit),
        'OpenTag CloseTag SelfClosingTag': (c) => c.column(c.node.from) + c.unit,
      }),
      bracketMatchingHandle.add({ 'OpenTag CloseTag': (node) => node.getChild('TagName') }),
    ],
  }),
  languageData: { indentOnInput: /^\s*<\/$/ },
})

/** endTag is what ends the element at a place where a `>` or the slash of a `</` has just been typed; '' is nothing. */
export function endTag(state: EditorState, at: number): string {
  const typed = state.sliceDoc(at - 1, at)
  const node = syntaxTree(state).resolveInner(at, -1)
  const opened = typed === '>' && node.name === 'EndTag'
  if (!opened && !(typed === '/' && node.name === 'StartCloseTag' && node.from === at - 2)) return ''
  const element = opened ? node.parent?.parent : node.parent
  const tag = element?.firstChild?.getChild('TagName')
  if (!element || !tag || element.lastChild?.name === 'CloseTag') return ''
  const name = state.sliceDoc(tag.from, Math.min(tag.to, at))
  return name && `${opened ? '</' : ''}${name}${state.sliceDoc(at, at + 1) === '>' ? '' : '>'}`
}

/** ending writes end tags: after a `>` behind the cursor, after a `</` in front of it. */
const ending = EditorView.inputHandler.of((view, from, to, text, insert) => {
  if (view.composing || view.state.readOnly || from !== to || (text !== '>' && text !== '/') || !language.isActiveAt(view.state, from, -1)) return false
  const base = insert()
  const { state } = base
  const added = state.changeByRange((range) => {
    const tag = endTag(state, range.head)
    if (!tag) return { range }
    return { range: text === '>' ? range : EditorSelection.cursor(range.head + tag.length, -1), changes: { from: range.head, insert: tag } }
  })
  if (added.changes.empty) return false
  view.dispatch([base, state.update(added, { userEvent: 'input.complete', scrollIntoView: true })])
  return true
})

/** xml is what the editor needs for XML. */
export function xml(): LanguageSupport {
  return new LanguageSupport(language, ending)
}
