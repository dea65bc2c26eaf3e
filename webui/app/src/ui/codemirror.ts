// CodeMirror, set up for bodies. It lives in a shadow root: there its styles are adopted style sheets, which a content
// security policy without unsafe-inline lets be, and nothing of the page's reaches in but the colours.

import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { json } from '@codemirror/lang-json'
import { xml } from '@codemirror/lang-xml'
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting, syntaxTree } from '@codemirror/language'
import { lintGutter, linter, type Diagnostic } from '@codemirror/lint'
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState } from '@codemirror/state'
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'

export type Language = 'json' | 'xml' | 'text'

/** An editor on the page. */
export interface Code {
  set(text: string): void
  speak(language: Language): void
  focus(): void
  close(): void
}

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.attributeName], color: 'var(--redirect)' },
  { tag: [tags.string, tags.attributeValue], color: 'var(--ok)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--open)' },
  { tag: [tags.tagName, tags.keyword], color: 'var(--accent)' },
  { tag: [tags.comment, tags.processingInstruction], color: 'var(--dim)' },
  { tag: tags.invalid, color: 'var(--bad)' },
])

const theme = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--ground)', fontSize: '12.5px', maxHeight: '40vh', minHeight: '120px' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', overflow: 'auto', minHeight: '120px' },
  '.cm-content': { caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--raised)', color: 'var(--dim)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--sunken) 45%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'var(--sunken)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--select)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-ground)', outline: '1px solid var(--accent)' },
  '.cm-panels, .cm-tooltip': { backgroundColor: 'var(--raised)', color: 'var(--text)', borderColor: 'var(--line)' },
  '.cm-diagnostic': { fontFamily: 'var(--sans)' },
  '.cm-specialChar': { color: 'var(--bad)' },
})

/** edit puts an editor into an element. */
export function edit(host: HTMLElement, text: string, label: string, language: Language, changed: (text: string) => void, problem: (text: string) => void): Code {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open', delegatesFocus: true })
  const inside = document.createElement('div')
  root.replaceChildren(inside)
  const mode = new Compartment()
  let setting = false
  const view = new EditorView({
    root,
    parent: inside,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), highlightActiveLine(), highlightSelectionMatches(), search({ top: true }), lintGutter(),
        syntaxHighlighting(colours), theme, EditorView.lineWrapping, mode.of(speaking(language, problem)),
        // Tab goes on to the next field: whoever has only a keyboard gets out.
        keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
        EditorView.contentAttributes.of({ 'aria-label': label, 'aria-multiline': 'true', spellcheck: 'false', autocapitalize: 'off' }),
        EditorView.updateListener.of((u) => { if (u.docChanged && !setting) changed(u.state.doc.toString()) }),
      ],
    }),
  })
  return {
    set(next) {
      if (next === view.state.doc.toString()) return
      setting = true
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } })
      setting = false
    },
    speak: (next) => view.dispatch({ effects: mode.reconfigure(speaking(next, problem)) }),
    focus: () => view.focus(),
    close: () => view.destroy(),
  }
}

/** speaking sets a language and its check up. */
function speaking(language: Language, problem: (text: string) => void) {
  problem('')
  if (language === 'text') return []
  return [language === 'json' ? json() : xml(), linter((view) => {
    const found = mistakes(view, language)
    const first = found[0]
    if (!first) problem('')
    else {
      const line = view.state.doc.lineAt(first.from)
      problem(`Line ${line.number}, column ${first.from - line.from + 1}: ${first.message}`)
    }
    return found
  }, { delay: 250 })]
}

/** mistakes are the places where the parser had to guess. */
function mistakes(view: EditorView, language: Language): Diagnostic[] {
  const doc = view.state.doc
  if (doc.length === 0) return []
  const out: Diagnostic[] = []
  const name = language === 'json' ? 'JSON' : 'XML'
  syntaxTree(view.state).iterate({
    enter(node) {
      if (!node.type.isError || out.length >= 20) return
      const to = Math.min(doc.length, Math.max(node.to, node.from + 1))
      const text = doc.sliceString(node.from, Math.min(node.to, node.from + 30)).trim()
      out.push({ from: Math.min(node.from, doc.length), to, severity: 'error', message: text ? `“${text}” does not belong here in ${name}` : `something is missing here for ${name}` })
    },
  })
  // The parser mends what it can; what it mended well enough is still no JSON.
  if (language === 'json' && out.length === 0 && doc.length < 2_000_000) {
    try {
      JSON.parse(doc.toString())
    } catch (e) {
      const at = Number(/position (\d+)/.exec(String(e))?.[1] ?? 0)
      out.push({ from: Math.min(at, doc.length), to: Math.min(at + 1, doc.length), severity: 'error', message: 'this is no JSON' })
    }
  }
  return out
}
