import{a,b}from"./chunk-PJMCVAJ3.js";import"./chunk-YLSGM6VI.js";import"./chunk-6ATBPRIA.js";export{b as format,a as operations};
