var r=(r,t)=>()=>{try{return t||r((t={exports:{}}).exports,t),t.exports}catch(r){throw t=0,r}};export{r as a};
