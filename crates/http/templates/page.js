// What makes forms more comfortable. Every page works without it.

// A button in each password field shows what is typed.
for (const box of document.querySelectorAll("[data-reveal]")) {
  const input = box.querySelector("input");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reveal";
  button.textContent = box.dataset.reveal;
  button.setAttribute("aria-label", box.dataset.revealLabel);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const shows = input.type === "password";
    input.type = shows ? "text" : "password";
    button.setAttribute("aria-pressed", String(shows));
    input.focus();
  });
  // Browsers remember what is typed into a text field.
  input.form.addEventListener("submit", () => { input.type = "password"; });
  box.append(button);
}

// The rules of a password are ticked off while it is typed. The server decides.
const isMet = {
  min_length: (text, number) => [...text].length >= number,
  max_length: (text, number) => [...text].length <= number,
  upper: (text) => /[A-Z]/.test(text),
  lower: (text) => /[a-z]/.test(text),
  digit: (text) => /[0-9]/.test(text),
  symbol: (text) => /[^\p{Alphabetic}\p{N}]/u.test(text),
};
for (const input of document.querySelectorAll("input[type=password]")) {
  const rules = document.querySelectorAll(`#${CSS.escape(input.id)}-rules li`);
  input.addEventListener("input", () => {
    for (const rule of rules) {
      const met = isMet[rule.dataset.rule](input.value, Number(rule.dataset.number));
      rule.classList.toggle("met", met && input.value !== "");
      rule.classList.remove("broken");
    }
  });
}
