import{a as o,b as r}from"./chunk-PJMCVAJ3.js";import"./chunk-YLSGM6VI.js";import"./chunk-6ATBPRIA.js";export{r as format,o as operations};
