// Draws the API documentation in the installation's colours, light or dark.
const place = document.getElementById("docs");
const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
const accent = isDark ? place.dataset.accentDark : place.dataset.accent;
const [page, ink, quiet, line, soft] = isDark
  ? ["#0c1922", "#e8eef2", "#a9b8c3", "#2b3843", "#172028"]
  : ["#ffffff", "#0c1922", "#52636f", "#dce4e8", "#f4f7f8"];
const fonts = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const code = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";

Redoc.init(place.dataset.document, {
  nativeScrollbars: true,
  requiredPropsFirst: true,
  expandResponses: "200,201",
  jsonSampleExpandLevel: 3,
  hideDownloadButton: true,
  theme: {
    spacing: { sectionVertical: 24 },
    // The gutter is inside of the height.
    logo: { maxHeight: "60px", maxWidth: "200px", gutter: "12px" },
    colors: {
      primary: { main: accent },
      text: { primary: ink, secondary: quiet },
      border: { light: line, dark: line },
      success: { main: isDark ? "#7fd3a6" : "#146c43" },
      error: { main: isDark ? "#ffa69d" : "#a9231b" },
      warning: { main: isDark ? "#eec46d" : "#7a5200" },
      responses: {
        success: { color: isDark ? "#7fd3a6" : "#146c43", backgroundColor: isDark ? "#14301f" : "#e6f4ec" },
        error: { color: isDark ? "#ffa69d" : "#a9231b", backgroundColor: isDark ? "#3b1a17" : "#fdecea" },
      },
      http: {
        get: "#146c43", post: "#0b637d", put: "#7a5200", patch: "#6b4a9e", delete: "#a9231b",
      },
    },
    typography: {
      fontSize: "16px", lineHeight: "1.6", fontFamily: fonts, smoothing: "auto",
      headings: { fontFamily: fonts, fontWeight: "650", lineHeight: "1.3" },
      code: { fontSize: "14px", fontFamily: code, color: ink, backgroundColor: soft, wrap: true },
      links: { color: accent, visited: accent, hover: accent },
    },
    sidebar: { width: "280px", backgroundColor: soft, textColor: ink, activeTextColor: accent },
    rightPanel: { backgroundColor: isDark ? "#081219" : "#12242f", textColor: "#ffffff" },
    codeBlock: { backgroundColor: "#050c11" },
    schema: {
      nestedBackground: soft, typeNameColor: quiet, typeTitleColor: quiet, linesColor: line, requireLabelColor: isDark ? "#ffa69d" : "#a9231b",
    },
    fab: { backgroundColor: soft, color: accent },
  },
}, place);

// What the renderer leaves out for people who use a keyboard or a screen reader: parts that scroll can be reached, and the
// contents are a tree, in which an entry is not named after all that is below it.
function amend() {
  for (const part of place.querySelectorAll("pre:not([tabindex]), table:not([tabindex])")) {
    part.tabIndex = 0;
  }
  for (const list of place.querySelectorAll("ul[role=menu]")) {
    const isNested = list.parentElement.closest("li");
    list.setAttribute("role", isNested ? "group" : "tree");
    if (!isNested) list.setAttribute("aria-label", "Contents");
  }
  for (const entry of place.querySelectorAll("li[role=menuitem]")) {
    entry.setAttribute("role", "treeitem");
    entry.removeAttribute("aria-label");
  }
}
new MutationObserver(amend).observe(place, { childList: true, subtree: true });
